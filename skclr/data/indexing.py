"""Columns: table rows with categories and gaps as plain numbers that a network can take."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn


def check_lengths(n_columns: int, **values: Sequence[Any]) -> None:
    """Raise a ValueError where values by column are neither empty nor one for each column."""
    for name, entries in values.items():
        if len(entries) not in (0, n_columns):
            raise ValueError(f"{name}={tuple(entries)} has {len(entries)} entries, but X has {n_columns} columns")


class Indexing(nn.Module, ABC):
    """A module with buffers of indices, which follow from its arguments alone."""

    @abstractmethod
    def indices(self) -> dict[str, Tensor]:
        """Return the buffers by name."""

    def check_indices(self) -> None:
        """Raise a ValueError where buffers that were loaded are others: they would look up what is not there."""
        for name, expected in self.indices().items():
            if not torch.equal(self.get_buffer(name).cpu(), expected):
                raise ValueError(f"{name} are not the indices that belong to the columns")


class Columns(Indexing):
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
        check_lengths(n_columns, cardinalities=cardinalities, gaps=gaps)
        self.n_columns = n_columns
        self.cardinalities = tuple(cardinalities)
        self.gaps = tuple(gaps)
        for name, values in self.indices().items():
            self.register_buffer(name, values)
        n_categories = len(self.categories)
        n_vectors = sum(self.cardinalities) + n_categories
        self.vectors = nn.Embedding(n_vectors, dim) if n_categories else None
        self.out_features = len(self.numbers) + len(self.flags) + dim * n_categories

    numbers: Tensor
    flags: Tensor
    categories: Tensor
    offsets: Tensor

    def indices(self) -> dict[str, Tensor]:
        """See `Indexing`."""
        counts = self.cardinalities
        # One table for all columns; in each the first row stands for what is missing or was never seen.
        starts = [*accumulate((count + 1 for count in counts if count), initial=0)][:-1]
        return {
            "numbers": places(count == 0 for count in counts) if counts else torch.arange(self.n_columns),
            "flags": places(self.gaps),
            "categories": places(counts),
            "offsets": torch.tensor(starts, dtype=torch.int64) + 1,
        }

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


def places(chosen: Iterable[object]) -> Tensor:
    """Return the places of what is true, int64."""
    return torch.tensor([place for place, true in enumerate(chosen) if true], dtype=torch.int64)
