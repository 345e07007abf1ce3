"""SwAV: unsupervised learning of visual features by contrasting cluster assignments."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from skclr.arguments import check_above_zero, check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses.swapped import swapped_prediction
from skclr.parts.clock import Clock
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import across_views, forward_views
from skclr.parts.queue import Queue
from skclr.parts.sinkhorn import sinkhorn


class SwAV(Framework):
    """Each view predicts the prototype assignment of another view of the same sample.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections and prototypes, which lie on the unit sphere.
    hidden_dim : width of the projector's hidden layer; None for the width of the embedding.
    n_prototypes : number of prototypes (clusters); a few times the expected number of classes.
    temperature : temperature of the predicted assignment.
    epsilon : smoothness of the codes; lower it if the loss stays at log(n_prototypes).
    freeze_until : progress before which the prototypes are not trained.
    queue_size : number of projections of earlier batches, for each of the two global views, that take part in the
        assignment; helps if a batch is much smaller than n_prototypes.
    queue_start : progress from which the queue is used.

    References
    ----------
    Caron et al. 2020, sec. 3 and algorithm 1. Differs: for small data and short training, fewer prototypes, frozen
    longer, and sharper codes (the paper's epsilon is 0.05), without which the loss tends to stay at log(n_prototypes);
    by default no queue. Groups are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("swav", framework_params={"n_prototypes": 30}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=3e-3, weight_decay=1e-4, scaling=0.5),
        # The same as SimCLR's.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # The authors' code at a batch of 256.
        "lars": Recipe(learning_rate=0.6, weight_decay=1e-6),
    }

    # A ModuleList of Queue, whose entries torch types as plain modules.
    queues: Any

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 128,
        hidden_dim: int | None = None,
        n_prototypes: int = 512,
        temperature: float = 0.1,
        epsilon: float = 0.03,
        freeze_until: float = 0.3,
        queue_size: int = 0,
        queue_start: float = 0.1,
    ) -> None:
        check_sizes(projection_dim=projection_dim, n_prototypes=n_prototypes)
        check_above_zero(temperature=temperature, epsilon=epsilon)
        super().__init__(encoder)
        self.projector = mlp_head(
            encoder.out_features, encoder.out_features if hidden_dim is None else hidden_dim, projection_dim
        )
        self.prototypes = nn.Parameter(normalize(torch.randn(n_prototypes, projection_dim), dim=1))
        self.queues = nn.ModuleList(Queue(queue_size, projection_dim) for _ in range(2))
        self.temperature = temperature
        self.epsilon = epsilon
        self.freeze_until = freeze_until
        self.queue_start = queue_start
        self.clock = Clock()

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        projections = forward_views(lambda x: normalize(self.projector(self.encoder(x)), dim=1), views)
        # Detached, since with a gradient of zeros momentum and weight decay would still change the weights.
        prototypes = self.prototypes.detach() if self.clock.progress < self.freeze_until else self.prototypes
        scores = [linear(z, prototypes) for z in projections]
        codes = [self.assign(s, queue) for s, queue in zip(scores[:2], self.queues, strict=True)]
        for z, queue in zip(projections[:2], self.queues, strict=True):
            queue.push(z, groups)
        return across_views(partial(swapped_prediction, temperature=self.temperature), scores, codes)

    @torch.no_grad()
    def assign(self, scores: Tensor, queue: Queue) -> Tensor:
        """Return the codes (B, K) of a batch, balanced together with the rows of the queue."""
        in_use = self.clock.progress >= self.queue_start
        return sinkhorn(scores, self.epsilon, extra=linear(queue.rows, self.prototypes) if in_use else None)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        self.clock.progress = progress
        self.prototypes.copy_(normalize(self.prototypes, dim=1))
