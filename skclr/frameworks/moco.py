"""MoCo v2: momentum contrast for unsupervised visual representation learning."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses import InfoNCE, PairwiseLoss
from skclr.parts.heads import mlp_head
from skclr.parts.queue import Queue
from skclr.parts.schedules import cosine
from skclr.parts.teacher import Teacher


class MoCo(Framework):
    """Queries find their key among an EMA teacher's keys of this batch and of earlier batches.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections, on which the loss is computed.
    hidden_dim : width of the projector's hidden layer; None for the width of the embedding.
    queue_size : number of keys kept from earlier batches; best below the number of samples.
    decay : EMA decay of the teacher at the start; increases to 1 along a cosine.
    symmetric : whether both global views produce keys, each with its own queue, or only the first one.
    loss : any pairwise loss, with the keys as candidates.

    References
    ----------
    He et al. 2020, algorithm 1; Chen et al. 2020 (MoCo v2). Differs: the other keys of the batch are negatives too;
    keys of the query's group are positives even in the queue (the key of the same image from the previous epoch or,
    with labels, of another image of its class); decay increases as in MoCo v3; batches are not shuffled for
    BatchNorm.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("moco", framework_params={"queue_size": 128}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    default_loss = "info_nce"
    uses_groups = True
    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=2e-3, weight_decay=1e-4, scaling=0.5),
        # lightly's CIFAR-10 benchmark: 0.06 at a batch of 128.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # MoCo v3's code, ResNet-50 at 300 epochs.
        "lars": Recipe(learning_rate=0.3, weight_decay=1.5e-6),
    }

    # A ModuleList of Queue, whose entries torch types as plain modules.
    queues: Any

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 128,
        hidden_dim: int | None = None,
        queue_size: int = 4096,
        decay: float = 0.99,
        symmetric: bool = True,
        loss: PairwiseLoss = InfoNCE(temperature=0.2),
    ) -> None:
        check_sizes(projection_dim=projection_dim)
        super().__init__(encoder)
        width = encoder.out_features
        self.projector = mlp_head(width, width if hidden_dim is None else hidden_dim, projection_dim, batch_norm=False)
        self.teacher = Teacher(encoder, self.projector)
        self.queues = nn.ModuleList(Queue(queue_size, projection_dim) for _ in range(1 + symmetric))
        self.decay = decay
        self.loss = loss

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        keys = [normalize(self.teacher(view), dim=1) for view in views[: len(self.queues)]]
        # If only one view provides keys, it is not a query, since it would find itself.
        queries = {i: self._query(view) for i, view in enumerate(views) if i > 0 or len(keys) > 1}
        losses = [
            self.loss(query, groups, *queue.with_batch(key, groups))
            for i, query in queries.items()
            for j, (key, queue) in enumerate(zip(keys, self.queues, strict=True))
            if i != j
        ]
        for key, queue in zip(keys, self.queues, strict=True):
            queue.push(key, groups)
        return torch.stack(losses).mean()

    def after_step(self, progress: float) -> None:
        self.teacher.follow(self.encoder, self.projector, decay=cosine(self.decay, 1.0, progress))

    def _query(self, view: Tensor) -> Tensor:
        return normalize(self.projector(self.encoder(view)), dim=1)
