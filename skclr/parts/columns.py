"""Columns: table rows with categories and gaps as plain numbers that a network can take."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Columns(nn.Module):
    """Numbers as they are, a flag for each number that can be missing, and a learned vector for each category.

    Parameters
    ----------
    n_columns : number of columns (d).
    cardinalities : number of categories of each column, 0 for a number; empty means numbers only.
    gaps : whether each column of numbers gets a flag; empty means none.
    dim : width of a category's vector.

    Attributes
    ----------
    out_features : width of the result.

    References
    ----------
    Guo and Berkhahn 2016, "Entity embeddings of categorical variables". Differs: one width for all columns.
    """

    def __init__(
        self, n_columns: int, cardinalities: Sequence[int] = (), gaps: Sequence[bool] = (), dim: int = 8
    ) -> None:
        super().__init__()
        self.n_columns = n_columns
        counts = torch.tensor(cardinalities or [0] * n_columns)
        flags = torch.tensor(gaps or [False] * n_columns)
        self.register_buffer("numbers", (counts == 0).nonzero()[:, 0])
        self.register_buffer("flags", flags.nonzero()[:, 0])
        self.register_buffer("categories", counts.nonzero()[:, 0])
        # One table for all columns; in each the first row stands for what is missing or was never seen.
        sizes = counts[counts > 0] + 1
        self.register_buffer("offsets", sizes.cumsum(0) - sizes + 1)
        self.vectors = nn.Embedding(int(sizes.sum()), dim) if len(sizes) else None
        self.out_features = len(self.numbers) + len(self.flags) + dim * len(sizes)

    numbers: Tensor
    flags: Tensor
    categories: Tensor
    offsets: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, d), NaN where there is a gap, to (B, out_features)."""
        if x.shape[1] != self.n_columns:
            raise ValueError(
                f"a sample or view has {x.shape[1]} values, but the network was made for {self.n_columns}: choose an "
                "encoder that takes samples of any length or size"
            )
        parts = [x[:, self.numbers].nan_to_num(0.0), x[:, self.flags].isnan().to(x.dtype)]
        if self.vectors is not None:
            codes = x[:, self.categories].nan_to_num(-1.0).long() + self.offsets
            parts.append(self.vectors(codes).flatten(1))
        return torch.cat(parts, 1)
