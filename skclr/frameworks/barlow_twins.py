"""Barlow Twins: self-supervised learning via redundancy reduction."""

from torch import Tensor

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses.redundancy import barlow_twins
from skclr.parts.heads import mlp_head


class BarlowTwins(Framework):
    """Each embedding dimension agrees across two views and is decorrelated from the other dimensions.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections and of the projector's hidden layers; wider is better.
    n_layers : number of layers of the projector.
    redundancy_weight : weight of the off-diagonal terms (λ).

    References
    ----------
    Zbontar et al. 2021, algorithm 1. Differs: the projector has 2 layers of 1024 instead of 3 of 8192, for small
    encoders. Groups are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("barlow_twins", framework_params={"projection_dim": 256}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    exact_views = 2
    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=2e-3, weight_decay=1e-4, scaling=0.5),
        # lightly's CIFAR-10 benchmark: 0.06 at a batch of 128.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # The paper, sec. 2.2.
        "lars": Recipe(learning_rate=0.2, weight_decay=1e-6),
    }

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 1024,
        n_layers: int = 2,
        redundancy_weight: float = 5e-3,
    ) -> None:
        check_sizes(projection_dim=projection_dim)
        super().__init__(encoder)
        self.redundancy_weight = redundancy_weight
        self.projector = mlp_head(encoder.out_features, projection_dim, projection_dim, n_layers=n_layers)

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        z1, z2 = (self.projector(self.encoder(view)) for view in views)
        return barlow_twins(z1, z2, self.redundancy_weight)
