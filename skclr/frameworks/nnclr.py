"""NNCLR: with a little help from my friends."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses import InfoNCE, PairwiseLoss
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import across_views
from skclr.parts.queue import Queue
from skclr.ranks.collectives import world


class NNCLR(Framework):
    """The positive of a sample is its nearest neighbour among earlier samples.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections, on which neighbours are found and the loss is computed.
    hidden_dim : width of the hidden layers of projector and predictor.
    queue_size : number of projections kept as the support set.
    loss : any pairwise loss, with neighbours as anchors and predictions as candidates.

    References
    ----------
    Dwibedi et al. 2021, eq. 3 and 4. Differs: heads for small encoders; every further view is compared
    with the neighbours of the first two views.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("nnclr", framework_params={"queue_size": 128}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    default_loss = "info_nce"
    uses_groups = True
    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5),
        # lightly's CIFAR-10 benchmark: 0.06 at a batch of 128.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # The same as SimCLR's.
        "lars": Recipe(learning_rate=0.3, weight_decay=1e-6),
    }

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 256,
        hidden_dim: int = 512,
        queue_size: int = 4096,
        loss: PairwiseLoss = InfoNCE(temperature=0.1),
    ) -> None:
        check_sizes(projection_dim=projection_dim, hidden_dim=hidden_dim, queue_size=queue_size)
        super().__init__(encoder)
        self.projector = mlp_head(encoder.out_features, hidden_dim, projection_dim, normalize_output=True)
        self.predictor = mlp_head(projection_dim, hidden_dim, projection_dim)
        self.queue = Queue(queue_size, projection_dim)
        self.loss = loss

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        projections = [self.projector(self.encoder(view)) for view in views]
        predictions = [self.predictor(z) for z in projections]
        neighbors = [self.nearest(z) for z in projections[:2]]
        self.queue.push(normalize(projections[0], dim=1), groups)
        everyone = world.gather(groups)
        return across_views(lambda p, n: self.loss(n, groups, world.gather(p), everyone), predictions, neighbors)

    @torch.no_grad()
    def nearest(self, projections: Tensor) -> Tensor:
        """Return the row of the queue with the largest cosine to each projection, (B, d)."""
        rows = normalize(projections, dim=1)
        return self.queue.rows[(rows @ self.queue.rows.T).argmax(dim=1)]
