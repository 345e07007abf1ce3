"""Categories as codes, column by column."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import OrdinalEncoder

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

    def fit(self, table: np.ndarray) -> Self:
        """Learn the categories of a table (n, k) of objects."""
        self.codes_ = tuple(self._codes(column) for column in uniform(table).T)
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

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        for codes in self.codes_:
            if set(codes.values()) != set(range(len(set(codes.values())))):
                raise ValueError("codes of categories do not count from 0 on")

    def _codes(self, column: np.ndarray) -> dict[Any, int]:
        encoder = OrdinalEncoder(max_categories=self.max_categories).fit(column[:, None])
        known = [value for value in encoder.categories_[0] if not is_missing(value)]
        if not known:
            return {}
        codes = encoder.transform(np.array([*known, None], dtype=object)[:-1, None])[:, 0]
        return dict(zip(known, codes.astype(int).tolist(), strict=True))


def uniform(categories: np.ndarray) -> np.ndarray:
    """Write every gap as NaN, and the values of a column that has other things than numbers all as strings."""
    table = np.empty(categories.shape, dtype=object)
    for j, column in enumerate(categories.astype(object).T):
        values = [np.nan if is_missing(value) else value for value in column]
        if not all(isinstance(value, bool | int | float | np.number | np.bool_) for value in values):
            values = [value if is_missing(value) else str(value) for value in values]
        table[:, j] = values
    return table
