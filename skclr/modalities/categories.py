"""Categories as codes, column by column."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Self

import numpy as np

from skclr.data.columns import is_missing
from skclr.files.plain import Plain

# Most values of a column that are kept by name: the rest are too rare to learn from, and a file would hold them all.
_MOST_NAMES = 2**16
_BOOLEANS = {"true": True, "false": False}


class Categories(Plain):
    """Codes of the categories of each column, from 0 on; NaN for a missing value and for one that `fit` has not seen.

    The values seen in `fit` settle the kind of a column, and its codes show it later. Where all were numbers or
    booleans, a value is looked up as a number, and so is text that spells one. Otherwise the column holds text: text is
    looked up as it is ("01" is not "1"), and a number by its spelling as an integer, else as a float.

    Parameters
    ----------
    max_categories : most codes of a column; the rarest categories beyond that share the last one.
    """

    codes_: tuple[dict[Any, int], ...] = ()

    def __init__(self, max_categories: int) -> None:
        self.max_categories = max_categories

    def fit(self, tables: Iterable[np.ndarray]) -> Self:
        """Learn the categories of the same columns in tables (n_i, k) of objects."""
        return self.learn(count_values(tables))

    def learn(self, counts: Sequence[Counter[Any]]) -> Self:
        """Learn the categories of each column from its counts, as `count_values` returns them."""
        self.codes_ = tuple(map(self._codes, counts))
        return self

    def encode(self, table: np.ndarray) -> np.ndarray:
        """Return the codes (n, k), as floats, of objects (n, k)."""
        encoded = np.empty(table.shape)
        for j, (codes, column) in enumerate(zip(self.codes_, table.T, strict=True)):
            is_text = holds_text(codes)
            encoded[:, j] = [_code(codes, value, is_text) for value in column]
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
        by_count = sorted(known, key=times.__getitem__)
        rare, forgotten = set(by_count[:n_rare]), set(by_count[: max(0, len(known) - _MOST_NAMES)])
        codes = {value: code for code, value in enumerate(value for value in known if value not in rare)}
        return {value: codes.get(value, len(codes)) for value in known if value not in forgotten}


def count_values(tables: Iterable[np.ndarray]) -> list[Counter[Any]]:
    """Count the values of each column in tables (n_i, k) of objects, missing ones aside.

    Returns
    -------
    One counter a column, of numbers and booleans or, where a value is anything else, of text.
    """
    counts: list[Counter[tuple[type, Any]]] = []
    for table in tables:
        counts = counts or [Counter() for _ in table.T]
        for times, column in zip(counts, table.T, strict=True):
            times.update(_typed(value) for value in column if not is_missing(value))
    return [_of_one_kind(times) for times in counts]


def warn_of_unseen(names: list[Any], categories: np.ndarray, codes: np.ndarray) -> None:
    """Warn of columns in which there are values, but none that fit has seen; of a single value nothing is said."""
    empty = np.flatnonzero(np.isnan(codes).all(axis=0))
    unseen = [repr(names[j]) for j in empty if sum(not is_missing(value) for value in categories[:, j]) > 1]
    if unseen:
        warnings.warn(
            f"no value of column{'s' * (len(unseen) > 1)} {', '.join(unseen)} was seen in fit, so that all count as "
            "missing: check that X holds the same columns, spelled alike",
            UserWarning,
            stacklevel=2,
        )


def holds_text(values: Iterable[Any]) -> bool:
    """Return whether the categories of a column are text, by the first: either all are or none is."""
    return isinstance(next(iter(values), None), str)


def is_number(value: Any) -> bool:
    """Return whether a value is a number or a boolean, of Python's or of numpy's."""
    return isinstance(value, Real | Decimal | np.bool_)


def parse_number(text: str) -> Any:
    """Return the number or boolean that a text spells; raise a ValueError where it spells none."""
    if "_" in text:
        raise ValueError(f"could not convert string to float: {text!r}")
    if (word := text.strip().lower()) in _BOOLEANS:
        return _BOOLEANS[word]
    try:
        return int(text)
    except ValueError:
        return float(text)


def _typed(value: Any) -> tuple[type, Any]:
    # True is equal to 1, but no other spelling of it.
    if is_number(value):
        value = _plain_number(value)
        return (bool if isinstance(value, bool) else float), value
    return str, str(value)


def _of_one_kind(times: Counter[tuple[type, Any]]) -> Counter[Any]:
    is_text = any(kind is str for kind, _ in times)
    counts: Counter[Any] = Counter()
    for (_, value), n in times.items():
        counts[_spellings(value)[0] if is_text else value] += n
    return counts


def _code(codes: dict[Any, int], value: Any, is_text: bool) -> float:
    try:
        return codes[value]
    except (KeyError, TypeError):  # TypeError: lists have no hash.
        if is_missing(value):
            return np.nan
    keys = _spellings(value) if is_text else _numbers(value)
    return next((codes[key] for key in keys if key in codes), np.nan)


def _spellings(value: Any) -> list[str]:
    """Return how a value of a column of text may be written, the preferred way first."""
    if not is_number(value):
        return [str(value)]
    number = _plain_number(value)
    if isinstance(number, bool):
        return [str(number)]
    if isinstance(number, float):
        return [str(int(number)), str(number)] if number.is_integer() else [str(value), str(number)]
    try:
        return [str(number), str(float(number))]
    except OverflowError:
        return [str(number)]


def _numbers(value: Any) -> list[Hashable]:
    """Return the number that a value of a column of numbers is, or none."""
    try:
        return [_plain_number(value) if is_number(value) else parse_number(value)]
    except (TypeError, ValueError, AttributeError):
        return []


def _plain_number(value: Any) -> bool | int | float:
    """Return one of Python's own numbers; integers beyond float64 keep all their digits."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return int(value) if isinstance(value, Integral) else float(value)
