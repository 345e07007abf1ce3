"""Encoding of categories as codes, column by column."""

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

# Most values of a column that are stored by name: others are too rare to learn from, and would enlarge every file.
_MOST_NAMES = 2**16
_BOOLEANS = {"true": True, "false": False}


class Categories(Plain):
    """Encode the categories of each column as codes from 0; missing values and unseen ones are NaN.

    The values seen in `fit` determine the kind of a column, which later follows from its codes. If all were numbers or
    booleans, values are looked up as numbers, and so is text that spells one. Otherwise the column holds text: text is
    looked up unchanged ("01" is not "1"), and a number by its spelling as an integer, else as a float.

    Parameters
    ----------
    max_categories : maximum number of codes per column; the rarest categories beyond that share the last one.
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
        """Return the categories of codes (n, k): the first of those that share a code, None for unknown codes."""
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
                raise ValueError("the codes of categories are not consecutive from 0")

    def _codes(self, times: Counter[Any]) -> dict[Any, int]:
        known = sorted(times)
        n_rare = len(known) - self.max_categories + 1 if len(known) > self.max_categories else 0
        # Ties are broken as in OrdinalEncoder.
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
    """Warn about columns with two or more values, none of which was seen in `fit`."""
    empty = np.flatnonzero(np.isnan(codes).all(axis=0))
    unseen = [repr(names[j]) for j in empty if sum(not is_missing(value) for value in categories[:, j]) > 1]
    if unseen:
        warnings.warn(
            f"no value of column{'s' * (len(unseen) > 1)} {', '.join(unseen)} was seen in fit, so all of them count as "
            "missing. Check that X has the same columns and spellings.",
            UserWarning,
            stacklevel=2,
        )


def holds_text(values: Iterable[Any]) -> bool:
    """Return whether the categories of a column are text; the first decides, since all are of one kind."""
    return isinstance(next(iter(values), None), str)


def is_number(value: Any) -> bool:
    """Return whether a value is a number or a boolean of Python or numpy."""
    return isinstance(value, Real | Decimal | np.bool_)


def parse_number(text: str) -> Any:
    """Return the number or boolean that a text spells; raise a ValueError if it spells none."""
    if "_" in text:
        raise ValueError(f"could not convert string to float: {text!r}")
    if (word := text.strip().lower()) in _BOOLEANS:
        return _BOOLEANS[word]
    try:
        return int(text)
    except ValueError:
        return float(text)


def _typed(value: Any) -> tuple[type, Any]:
    # True equals 1, but is a different category.
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
    except (KeyError, TypeError):  # TypeError: lists cannot be hashed.
        if is_missing(value):
            return np.nan
    keys = _spellings(value) if is_text else _numbers(value)
    return next((codes[key] for key in keys if key in codes), np.nan)


def _spellings(value: Any) -> list[str]:
    """Return the possible spellings of a value in a column of text, the preferred one first."""
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
    """Return a value of a column of numbers as a number, in a list that is empty if it is not one."""
    try:
        return [_plain_number(value) if is_number(value) else parse_number(value)]
    except (TypeError, ValueError, AttributeError):
        return []


def _plain_number(value: Any) -> bool | int | float:
    """Return a built-in number; integers beyond float64 keep all their digits."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return int(value) if isinstance(value, Integral) else float(value)
