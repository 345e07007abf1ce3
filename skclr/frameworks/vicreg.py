"""VICReg: variance, invariance, covariance regularisation."""

from torch import Tensor

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses.redundancy import vicreg
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import across_views


class VICReg(Framework):
    """Views agree while every dimension keeps its variance and is decorrelated from the others.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections and of the projector's hidden layers; wider is better.
    n_layers : number of layers of the projector.
    invariance_weight, variance_weight, covariance_weight : weights of the terms (λ, μ, ν).

    References
    ----------
    Bardes et al. 2022, algorithm 1. Differs: the projector has 2 layers of 1024 instead of 3 of 8192, for small
    encoders; with more than two views, each global view is paired with every other view. Groups are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("vicreg", framework_params={"covariance_weight": 2.0}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5),
        # The same as Barlow Twins'.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # The paper, sec. 4.2.
        "lars": Recipe(learning_rate=0.2, weight_decay=1e-6),
    }

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 1024,
        n_layers: int = 2,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
    ) -> None:
        check_sizes(projection_dim=projection_dim)
        super().__init__(encoder)
        self.projector = mlp_head(encoder.out_features, projection_dim, projection_dim, n_layers=n_layers)
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        projections = [self.projector(self.encoder(view)) for view in views]
        return across_views(self._loss, projections, projections[:2], symmetric=True)

    def _loss(self, z1: Tensor, z2: Tensor) -> Tensor:
        return vicreg(z1, z2, self.invariance_weight, self.variance_weight, self.covariance_weight)
