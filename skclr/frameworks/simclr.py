"""SimCLR: a simple framework for contrastive learning of visual representations."""

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.losses import NTXent, PairwiseLoss
from skclr.parts.heads import mlp_head
from skclr.parts.multi_view import forward_views


class SimCLR(Framework):
    """Views of one sample attract, views of different samples repel.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    projection_dim : width of the projections, on which the loss is computed.
    hidden_dim : width of the projector's hidden layer; None for the width of the embedding.
    n_layers : number of linear layers of the projector; with 0, the loss is computed on the embeddings themselves.
    loss : any pairwise loss.

    References
    ----------
    Chen et al. 2020, algorithm 1. Differs: takes any number of views and any positive groups; rows of the same group
    are positives of each other across all views.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder("simclr", framework_params={"projection_dim": 64}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    default_loss = "nt_xent"
    uses_groups = True
    recipes = {
        # Ours, chosen on data of 1,000 to 10,000 samples.
        "adamw": Recipe(learning_rate=2e-3, weight_decay=1e-4, scaling=0.5),
        # lightly's CIFAR-10 benchmark: 0.06 at a batch of 128.
        "sgd": Recipe(learning_rate=0.12, weight_decay=5e-4),
        # Chen et al. 2020, sec. 2.2 and appendix B.9.
        "lars": Recipe(learning_rate=0.3, weight_decay=1e-6),
    }

    def __init__(
        self,
        encoder: Encoder,
        projection_dim: int = 128,
        hidden_dim: int | None = None,
        n_layers: int = 2,
        loss: PairwiseLoss = NTXent(),
    ) -> None:
        check_sizes(projection_dim=projection_dim)
        super().__init__(encoder)
        width = encoder.out_features
        self.projector = (
            mlp_head(width, width if hidden_dim is None else hidden_dim, projection_dim, n_layers=n_layers)
            if n_layers
            else nn.Identity()
        )
        self.loss = loss

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        projections = forward_views(lambda x: self.projector(self.encoder(x)), views)
        return self.loss(torch.cat(projections), groups.repeat(len(views)))
