"""DINO: emerging properties in self-supervised vision transformers."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skclr.arguments import check_above_zero, check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses.swapped import swapped_prediction
from skclr.parts.clock import Clock
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import across_views, forward_views
from skclr.parts.schedules import cosine, linear
from skclr.parts.teacher import Teacher
from skclr.precision import at_least_float32
from skclr.ranks.collectives import world


class Prototypes(nn.Module):
    """Cosine similarity to prototypes: a weight-normalised linear layer without a scale."""

    def __init__(self, dim: int, n_prototypes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_prototypes, dim) / dim**0.5)

    def forward(self, projections: Tensor, frozen: bool = False) -> Tensor:
        # Detached, since with a gradient of zeros momentum and weight decay would still change the weights.
        weight = self.weight.detach() if frozen else self.weight
        return F.linear(F.normalize(projections, dim=1), F.normalize(weight, dim=1))


class DINO(Framework):
    """The student predicts the teacher's centred and sharpened distribution over prototypes.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections and prototypes, which lie on the unit sphere.
    hidden_dim : width of the projector's hidden layer.
    n_prototypes : number of prototypes.
    temperature : temperature of the student.
    teacher_temperature, final_teacher_temperature : temperature of the teacher at the start, and after the first 30 %
        of training; smaller is sharper.
    center_decay : decay of the moving mean of the teacher's scores.
    decay : EMA decay of the teacher at the start; increases to 1 along a cosine.
    freeze_until : progress before which the student's prototypes are not trained.

    References
    ----------
    Caron et al. 2021, algorithm 1. Differs: a narrower head with BatchNorm and ReLU and fewer prototypes, for small
    encoders; for short training, a smaller decay and a lower teacher temperature (the paper raises it from 0.04 to
    0.07, which at this scale tends to the uniform distribution). Groups are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("dino", framework_params={"n_prototypes": 64}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5),
        # The authors' code, ResNet-50.
        "sgd": Recipe(learning_rate=0.03, weight_decay=1e-4),
        # The same as SimCLR's.
        "lars": Recipe(learning_rate=0.3, weight_decay=1e-6),
    }
    center: Tensor

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 256,
        hidden_dim: int = 512,
        n_prototypes: int = 1024,
        temperature: float = 0.1,
        teacher_temperature: float = 0.02,
        final_teacher_temperature: float = 0.02,
        center_decay: float = 0.9,
        decay: float = 0.99,
        freeze_until: float = 0.01,
    ) -> None:
        check_sizes(projection_dim=projection_dim, hidden_dim=hidden_dim, n_prototypes=n_prototypes)
        check_above_zero(
            temperature=temperature,
            teacher_temperature=teacher_temperature,
            final_teacher_temperature=final_teacher_temperature,
        )
        super().__init__(encoder)
        self.projector = mlp_head(encoder.out_features, hidden_dim, projection_dim)
        self.prototypes = Prototypes(projection_dim, n_prototypes)
        self.teacher = Teacher(encoder, self._head())
        self.register_buffer("center", torch.zeros(n_prototypes))
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature
        self.final_teacher_temperature = final_teacher_temperature
        self.center_decay = center_decay
        self.decay = decay
        self.freeze_until = freeze_until
        self.clock = Clock()

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        frozen = self.clock.progress < self.freeze_until
        scores = forward_views(lambda x: self.prototypes(self.projector(self.encoder(x)), frozen), views)
        targets = [at_least_float32(target) for target in forward_views(self.teacher, views[:2])]
        # The paper warms up for 30 of 100 epochs.
        warmup = min(self.clock.progress / 0.3, 1.0)
        temperature = linear(self.teacher_temperature, self.final_teacher_temperature, warmup)
        codes = [((target - self.center) / temperature).softmax(dim=1) for target in targets]
        if self.training:
            self.center = torch.lerp(world.average(torch.cat(targets).mean(0)), self.center, self.center_decay)
        return across_views(partial(swapped_prediction, temperature=self.temperature), scores, codes)

    def after_step(self, progress: float) -> None:
        self.clock.progress = progress
        self.teacher.follow(self.encoder, self._head(), decay=cosine(self.decay, 1.0, progress))

    def _head(self) -> nn.Sequential:
        return nn.Sequential(self.projector, self.prototypes)
