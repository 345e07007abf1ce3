"""Table rows with categories and missing values as numbers that a network can process."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn


def check_lengths(n_columns: int, **values: Sequence[Any]) -> None:
    """Raise a ValueError unless the sequences are empty or have one value per column."""
    for name, entries in values.items():
        if len(entries) not in (0, n_columns):
            raise ValueError(f"{name}={tuple(entries)} has {len(entries)} entries, but X has {n_columns} columns")


class Indexing(nn.Module, ABC):
    """Base class of modules with index buffers, which depend only on the arguments."""

    @abstractmethod
    def indices(self) -> dict[str, Tensor]:
        """Return the buffers by name."""

    def check_indices(self) -> None:
        """Raise a ValueError if loaded buffers differ, since they might index out of range."""
        for name, expected in self.indices().items():
            if not torch.equal(self.get_buffer(name).cpu(), expected):
                raise ValueError(f"{name} does not match the columns")


class Columns(Indexing):
    """Pass numbers through, add a flag per number that can be missing, and embed each category.

    Parameters
    ----------
    n_columns : number of columns (d).
    cardinalities : number of categories of each column, 0 for a numeric column; empty if all are numeric.
    gaps : whether each numeric column gets a flag for missing values; empty for none.
    dim : width of the vector of a category.

    Attributes
    ----------
    out_features : width of the output.

    References
    ----------
    Guo and Berkhahn 2016, "Entity embeddings of categorical variables". Differs: all columns have the same width.
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
        # One table for all columns, in which the first row of each is for missing and unseen categories.
        starts = [*accumulate((count + 1 for count in counts if count), initial=0)][:-1]
        return {
            "numbers": positions(count == 0 for count in counts) if counts else torch.arange(self.n_columns),
            "flags": positions(self.gaps),
            "categories": positions(counts),
            "offsets": torch.tensor(starts, dtype=torch.int64) + 1,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_features) numbers of rows (B, d), in which NaN is a missing value."""
        if x.shape[1] != self.n_columns:
            raise ValueError(
                f"a sample or view has {x.shape[1]} values, but the network expects {self.n_columns}. Choose an "
                "encoder for samples of any length or size."
            )
        parts = [x[:, self.numbers].nan_to_num(0.0), x[:, self.flags].isnan().to(x.dtype)]
        if self.vectors is not None:
            codes = x[:, self.categories].nan_to_num(-1.0).long() + self.offsets
            parts.append(self.vectors(codes).flatten(1))
        return torch.cat(parts, 1)


def positions(chosen: Iterable[object]) -> Tensor:
    """Return the int64 positions of the values that are true."""
    return torch.tensor([place for place, true in enumerate(chosen) if true], dtype=torch.int64)
