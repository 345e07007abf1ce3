"""Labels as users have them, encoded: one meaning of y for every function that uses it."""

from __future__ import annotations

import math
from numbers import Number, Real
from typing import Any, NamedTuple

import numpy as np

from skclr.data.columns import check_length, distinct, to_column
from skclr.wording import counted

UNLABELLED = -1
# What numpy makes of -1 beside strings, and a CSV file of -1 beside names.
_UNLABELLED_TEXTS = frozenset({"-1", "-1.0", b"-1", b"-1.0"})


class Labels(NamedTuple):
    """Encoded labels.

    Attributes
    ----------
    codes : (n,) int64, places in `classes`; -1 is unlabelled.
    classes : (n_classes,) the distinct labels as the user gave them, sorted.
    """

    codes: np.ndarray
    classes: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """Return the row numbers that have a label."""
        return np.flatnonzero(self.codes != UNLABELLED)

    @property
    def counts(self) -> np.ndarray:
        """Return the number of rows of each class."""
        return np.bincount(self.codes[self.labelled], minlength=len(self.classes))

    def take(self, rows: np.ndarray) -> Labels:
        """Return the labels of some rows; `classes` are those of all."""
        return Labels(self.codes[rows], self.classes)

    def values(self, rows: Any = slice(None)) -> np.ndarray:
        """Return the labels of rows that have one, those that scikit-learn does not take (bytes, dates) as text."""
        plain = self.classes.dtype.kind in "biufU"
        classes = self.classes if plain else np.array([str(label) for label in self.classes])
        return classes[self.codes[rows]]


def encode_labels(y: Any, n_samples: int | None = None, *, argument: str = "y", fractions: bool = False) -> Labels:
    """Encode labels in any container by position; unlabelled rows stay apart.

    Unlabelled are -1 of any numeric type, also beside strings, the string "-1", and missing values: None, NaN, NA, NaT.

    Parameters
    ----------
    y : labels, as an array, list, pandas or polars Series, tensor, or a single column of such.
    n_samples : rows of X, where their number is to be checked.
    argument : its name in errors.
    fractions : whether numbers may be other than whole ones.

    Returns
    -------
    Labels

    Raises
    ------
    TypeError : for a y that is no array-like, or whose labels cannot be sorted.
    ValueError : for another number of values or columns, for continuous y, and for y of -1 and one class.

    Examples
    --------
    >>> from skclr.data import encode_labels
    >>> encode_labels(["yes", -1, "no", None])
    Labels(codes=array([ 1, -1,  0, -1]), classes=array(['no', 'yes'], dtype='<U3'))
    """
    column = to_column(argument, y)
    if n_samples is not None:
        check_length(argument, column, n_samples)
    values, numbers = distinct(argument, column)
    labels = [value for value in values if not (value is None or _is_unlabelled(value))]
    _check_classes(argument, labels, fractions=fractions)
    if len(labels) == 1 and any(value is not None and _is_unlabelled(value) for value in values):
        raise ValueError(f"{argument} contains -1 (unlabelled) and one class; recode two classes as 0 and 1.")
    ordered = _sorted(argument, labels)
    places = {label: place for place, label in enumerate(ordered)}
    code_of = np.array([places.get(value, UNLABELLED) for value in values], dtype=np.int64)
    return Labels(code_of[numbers] if len(values) else np.empty(0, dtype=np.int64), np.asarray(ordered))


def encode_together(**parts: Any) -> list[Labels]:
    """Encode several label arrays by the same classes.

    Parameters
    ----------
    **parts : each by its name in errors, such as y_train and y_test.

    Returns
    -------
    Labels of each part; `classes` are those of all.

    Raises
    ------
    TypeError, ValueError : as for `encode_labels`, and where the parts hold labels of different types.

    Examples
    --------
    >>> from skclr.data import encode_together
    >>> train, test = encode_together(y_train=["b", "a", -1], y_test=["c", "b"])
    >>> train.codes, test.codes
    (array([ 1,  0, -1]), array([2, 1]))
    """
    encoded = [encode_labels(y, argument=argument) for argument, y in parts.items()]
    ordered = _sorted(" and ".join(parts), {label for labels in encoded for label in labels.classes.tolist()})
    classes = np.asarray(ordered)
    return [_recoded(labels, classes) for labels in encoded]


def check_splittable(labels: Labels, purpose: str) -> None:
    """Raise a ValueError where labelled rows cannot be split such that both parts have every class.

    Parameters
    ----------
    labels : of all rows.
    purpose : who splits them, in errors.
    """
    if len(labels.classes) < 2:
        found = counted(len(labels.classes), "class", "classes")
        raise ValueError(f"y has labels of {found}: {purpose} needs 2 or more")
    if labels.counts.min() < 2:
        rare = labels.classes[labels.counts.argmin()]
        raise ValueError(f"class {rare!s} of y has 1 labelled row: {purpose} needs 2 or more of each class")


def _recoded(labels: Labels, classes: np.ndarray) -> Labels:
    # One more place: code -1 takes the last.
    code_of = np.append(np.searchsorted(classes, labels.classes), UNLABELLED)
    return Labels(code_of[labels.codes], classes)


def _sorted(argument: str, labels: Any) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise TypeError(f"{argument} mixes labels of types {kinds}: pass labels of one type") from error


def _is_unlabelled(label: Any) -> bool:
    return label in _UNLABELLED_TEXTS if isinstance(label, str | bytes) else _is_number(label) and label == UNLABELLED


def _is_number(label: Any) -> bool:
    # numpy counts durations among the integers.
    return isinstance(label, Number | np.bool_) and not isinstance(label, np.timedelta64)


def _check_classes(argument: str, labels: list[Any], *, fractions: bool) -> None:
    """Raise a ValueError for labels that are no classes."""
    if "nan" in labels:
        raise ValueError(
            f"{argument} contains the text 'nan', which numpy writes for a missing value beside strings: mark "
            "unlabelled rows with -1, or rename the class"
        )
    numbers = [label for label in labels if isinstance(label, Real) and _is_number(label)]
    if any(math.isinf(number) for number in numbers):
        raise ValueError(f"Input {argument} contains infinity or a value too large for dtype('float64').")
    odd = next((number for number in numbers if number % 1), None)
    if odd is not None and not fractions:
        raise ValueError(
            f"Unknown label type: continuous. {argument} contains {odd:g}, but classes are whole numbers or strings: "
            "bin it, for example with KBinsDiscretizer."
        )
