"""SimSiam: exploring simple Siamese representation learning."""

from torch import Tensor

from skclr.arguments import check_number
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses.regression import negative_cosine
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import across_views


class SimSiam(Framework):
    """BYOL without a teacher: a predictor and a stop-gradient are enough.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections, on which the loss is computed; the predictor's hidden layer has a quarter
        of it.
    n_layers : number of layers of the projector.

    References
    ----------
    Chen and He 2021, algorithm 1; projector of appendix D (CIFAR). Differs: narrower; every further view predicts the
    projections of the first two views. Groups are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("simsiam", framework_params={"projection_dim": 256}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5),
        # lightly's CIFAR-10 benchmark.
        "sgd": Recipe(learning_rate=0.06, weight_decay=5e-4),
        # The same as SimCLR's; the paper does not use LARS.
        "lars": Recipe(learning_rate=0.3, weight_decay=1e-6),
    }

    def __init__(self, encoder: Encoder, projection_dim: int = 1024, n_layers: int = 2) -> None:
        # The predictor's hidden layer is a quarter as wide, hence 4.
        check_number("projection_dim", projection_dim, 4, whole=True)
        super().__init__(encoder)
        self.projector = mlp_head(
            encoder.out_features, projection_dim, projection_dim, n_layers=n_layers, normalize_output=True
        )
        self.predictor = mlp_head(projection_dim, projection_dim // 4, projection_dim)

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        projections = [self.projector(self.encoder(view)) for view in views]
        predictions = [self.predictor(z) for z in projections]
        return across_views(negative_cosine, predictions, projections[:2])
