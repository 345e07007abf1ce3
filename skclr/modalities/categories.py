"""Categories as codes, column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from skclr.modalities.base import is_missing
from skclr.parts.plain import Plain


class Categories(Plain):
    """The codes of each column's categories, from 0 on; a gap, and what `fit` has not seen, is NaN.

    Parameters
    ----------
    max_categories : most codes of a column; the rarest categories beyond that share the last one.
    """

    codes_: tuple[dict[Any, int], ...] = ()

    def __init__(self, max_categories: int) -> None:
        self.max_categories = max_categories

    def fit(self, tables: Iterable[np.ndarray]) -> Self:
        """Learn the categories of the same columns in tables (n_i, k) of objects."""
        counts: list[Counter[Any]] = []
        for table in tables:
            counts = counts or [Counter() for _ in table.T]
            for times, column in zip(counts, uniform(table).T, strict=True):
                times.update(value for value in column if not is_missing(value))
        self.codes_ = tuple(map(self._codes, counts))
        return self

    def encode(self, table: np.ndarray) -> np.ndarray:
        """Take (n, k) objects to float codes (n, k)."""
        encoded = np.empty(table.shape)
        for j, (codes, column) in enumerate(zip(self.codes_, uniform(table).T, strict=True)):
            encoded[:, j] = [codes.get(value, np.nan) for value in column]
        return encoded

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Take codes (n, k) to categories, None where there is none; of several that share a code to the first."""
        table = np.empty(encoded.shape, dtype=object)
        for j, codes in enumerate(self.codes_):
            names = {code: value for value, code in reversed(codes.items())}
            table[:, j] = [names.get(code) for code in encoded[:, j]]
        return table

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each column."""
        return [len(set(codes.values())) for codes in self.codes_]

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        for codes, size in zip(self.codes_, self.sizes, strict=True):
            if set(codes.values()) != set(range(size)):
                raise ValueError("codes of categories do not count from 0 on")

    def _codes(self, times: Counter[Any]) -> dict[Any, int]:
        known = sorted(times)
        n_rare = len(known) - self.max_categories + 1 if len(known) > self.max_categories else 0
        # As OrdinalEncoder breaks ties.
        rare = set(sorted(known, key=times.__getitem__)[:n_rare])
        codes = {value: code for code, value in enumerate(value for value in known if value not in rare)}
        return {value: codes.get(value, len(codes)) for value in known}


def uniform(categories: np.ndarray) -> np.ndarray:
    """Write every gap as NaN, and the values of a column that has other things than numbers all as strings."""
    table = np.empty(categories.shape, dtype=object)
    for j, column in enumerate(categories.astype(object).T):
        values = [np.nan if is_missing(value) else value for value in column]
        if not all(isinstance(value, bool | int | float | np.number | np.bool_) for value in values):
            values = [value if is_missing(value) else str(value) for value in values]
        table[:, j] = values
    return table
