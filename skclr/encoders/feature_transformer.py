"""A transformer whose tokens are the columns of a table."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.indexing import Indexing, check_lengths
from skclr.encoders.base import Encoder


class FeatureTransformer(Encoder, Indexing):
    """A transformer over the columns of a table as tokens; the embedding is the output of a CLS token.

    Parameters
    ----------
    input_shape : (d,), the number of columns.
    width : width of the tokens and of the embedding; a multiple of n_heads.
    n_blocks, n_heads : number of transformer blocks, and of attention heads in each.
    cardinalities : number of categories of each column, 0 for a numeric column; empty if all are numeric.

    References
    ----------
    Gorishniy et al. 2021, sec. 3.3 (FT-Transformer). Differs: no dropout; each column has its own token for missing
    values.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import FeatureTransformer
    >>> FeatureTransformer((4,), width=32)(torch.randn(8, 4)).shape
    torch.Size([8, 32])
    """

    n_dims = 1
    facts = ("cardinalities",)

    def __init__(
        self,
        input_shape: tuple[int],
        width: int = 64,
        n_blocks: int = 2,
        n_heads: int = 4,
        cardinalities: Sequence[int] = (),
    ) -> None:
        check_sizes(width=width, n_blocks=n_blocks, n_heads=n_heads)
        super().__init__()
        if width % n_heads:
            raise ValueError(f"width={width} is not a multiple of n_heads={n_heads}. Use one that is.")
        self.out_features = width
        (n_columns,) = input_shape
        check_lengths(n_columns, cardinalities=cardinalities)
        self.n_columns = n_columns
        self.cardinalities = tuple(cardinalities)
        for name, values in self.indices().items():
            self.register_buffer(name, values)
        n_vectors = sum(max(count, 1) + 1 for count in self.cardinalities) if self.cardinalities else 2 * n_columns
        self.vectors = nn.Embedding(n_vectors, width)
        self.slopes = nn.Parameter(torch.empty(n_columns, width).uniform_(-1, 1) / width**0.5)
        self.summary = nn.Parameter(torch.zeros(width))
        block = nn.TransformerEncoderLayer(
            width, n_heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, n_blocks, nn.LayerNorm(width), enable_nested_tensor=False)

    offsets: Tensor
    is_number: Tensor

    def indices(self) -> dict[str, Tensor]:
        """See `Indexing`."""
        counts = self.cardinalities
        if not counts:
            return {"offsets": 2 * torch.arange(self.n_columns), "is_number": torch.ones(self.n_columns).bool()}
        # One table for all columns. The first row of each column is for missing values; the second of a numeric one is
        # its bias.
        starts = [*accumulate((max(count, 1) + 1 for count in counts), initial=0)][:-1]
        return {"offsets": torch.tensor(starts), "is_number": torch.tensor([count == 0 for count in counts])}

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, width) embeddings of rows (B, d), in which NaN is a missing value."""
        codes = torch.where(self.is_number, 0.0, x).masked_fill(x.isnan(), -1.0).long() + 1
        slopes = torch.where(self.is_number, x.nan_to_num(0.0), 0.0)[:, :, None] * self.slopes
        tokens = self.vectors(codes + self.offsets) + slopes
        summary = self.summary.expand(x.shape[0], 1, -1)
        embedding: Tensor = self.blocks(torch.cat([summary, tokens], 1))[:, 0]
        return embedding
