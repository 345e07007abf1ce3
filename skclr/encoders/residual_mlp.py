"""A multilayer perceptron with residual blocks."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from skclr.arguments import check_above_zero, check_sizes
from skclr.data.indexing import Columns
from skclr.encoders.base import Encoder


class ResidualMLP(Encoder):
    """A linear layer, residual blocks, then a linear layer to the embedding.

    Parameters
    ----------
    input_shape : shape of one sample; it is flattened.
    width : width of the residual stream.
    n_blocks : number of blocks.
    expansion : width inside a block, relative to `width`.
    out_features : width of the embedding.
    cardinalities : number of categories of each column, 0 for a numeric column; empty if all are numeric.
    gaps : whether each numeric column gets a flag for missing values; empty for none.

    References
    ----------
    Gorishniy et al. 2021, sec. 3.2 (ResNet). Differs: no dropout.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import ResidualMLP
    >>> ResidualMLP((4,), out_features=32)(torch.randn(8, 4)).shape
    torch.Size([8, 32])
    """

    facts = ("cardinalities", "gaps")

    def __init__(
        self,
        input_shape: tuple[int, ...],
        width: int = 192,
        n_blocks: int = 3,
        expansion: float = 2.0,
        out_features: int = 128,
        cardinalities: Sequence[int] = (),
        gaps: Sequence[bool] = (),
    ) -> None:
        check_sizes(width=width, out_features=out_features)
        check_above_zero(expansion=expansion)
        super().__init__()
        self.out_features = out_features
        self.columns = Columns(math.prod(input_shape), cardinalities, gaps)
        self.stem = nn.Linear(self.columns.out_features, width)
        inner = round(expansion * width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
            for _ in range(n_blocks)
        )
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of samples (B, *input_shape)."""
        x = self.stem(self.columns(x.flatten(1)))
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)
