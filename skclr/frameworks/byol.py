"""BYOL: bootstrap your own latent."""

from torch import Tensor

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses.redundancy import standardize
from skclr.losses.regression import normalized_mse
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import across_views
from skclr.parts.schedules import cosine
from skclr.parts.teacher import Teacher


class BYOL(Framework):
    """The online network predicts the target (EMA) network's projection of another view, without negatives.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections, on which the loss is computed.
    hidden_dim : width of the hidden layers of projector and predictor.
    decay : EMA decay of the teacher at the start; increases to 1 along a cosine.

    References
    ----------
    Grill et al. 2020, sec. 3. Differs: heads for small encoders; targets are standardised over the batch, without which
    a few dimensions outweigh all others in short runs; every further view predicts the teacher's projections of the
    first two views. Groups are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("byol", framework_params={"decay": 0.95}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=3e-3, weight_decay=1e-4, scaling=0.5),
        # lightly's CIFAR-10 benchmark: 0.06 at a batch of 128.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # The authors' code, preset of 100 epochs.
        "lars": Recipe(learning_rate=0.45, weight_decay=1e-6),
    }

    def __init__(self, encoder: Encoder, projection_dim: int = 256, hidden_dim: int = 512, decay: float = 0.99) -> None:
        check_sizes(projection_dim=projection_dim, hidden_dim=hidden_dim)
        super().__init__(encoder)
        self.decay = decay
        self.projector = mlp_head(encoder.out_features, hidden_dim, projection_dim)
        self.predictor = mlp_head(projection_dim, hidden_dim, projection_dim)
        self.teacher = Teacher(encoder, self.projector)

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        # View by view, since concatenated views would share BatchNorm statistics.
        predictions = [self.predictor(self.projector(self.encoder(view))) for view in views]
        targets = [standardize(self.teacher(view)) for view in views[:2]]
        return across_views(normalized_mse, predictions, targets)

    def after_step(self, progress: float) -> None:
        self.teacher.follow(self.encoder, self.projector, decay=cosine(self.decay, 1.0, progress))
