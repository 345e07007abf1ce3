"""A multilayer perceptron."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.indexing import Columns
from skclr.encoders.base import Encoder


class MLP(Encoder):
    """Hidden layers with batch normalisation and ReLU, then a linear layer to the embedding.

    Parameters
    ----------
    input_shape : shape of one sample; it is flattened.
    width : width of the hidden layers.
    n_layers : number of linear layers.
    out_features : width of the embedding.
    cardinalities : number of categories of each column, 0 for a numeric column; empty if all are numeric.
    gaps : whether each numeric column gets a flag for missing values; empty for none.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import MLP
    >>> MLP((4,), out_features=32)(torch.randn(8, 4)).shape
    torch.Size([8, 32])
    """

    facts = ("cardinalities", "gaps")

    def __init__(
        self,
        input_shape: tuple[int, ...],
        width: int = 256,
        n_layers: int = 3,
        out_features: int = 128,
        cardinalities: Sequence[int] = (),
        gaps: Sequence[bool] = (),
    ) -> None:
        check_sizes(width=width, n_layers=n_layers, out_features=out_features)
        super().__init__()
        self.out_features = out_features
        columns = Columns(math.prod(input_shape), cardinalities, gaps)
        layers: list[nn.Module] = [nn.Flatten(), columns]
        in_features = columns.out_features
        for _ in range(n_layers - 1):
            layers += [nn.Linear(in_features, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            in_features = width
        self.layers = nn.Sequential(*layers, nn.Linear(in_features, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of samples (B, *input_shape)."""
        return self.layers(x)
