"""Encoding of labels, so that y has the same meaning in every function."""

from __future__ import annotations

import math
from numbers import Number, Real
from typing import Any, NamedTuple

import numpy as np

from skclr.data.columns import check_length, distinct, to_column
from skclr.wording import counted

UNLABELLED = -1
# The text of -1 in a numpy array of strings, or in a CSV column of names.
_UNLABELLED_TEXTS = frozenset({"-1", "-1.0", b"-1", b"-1.0"})


class Labels(NamedTuple):
    """Encoded labels.

    Attributes
    ----------
    codes : (n,) int64 indices into `classes`; -1 is unlabelled.
    classes : (n_classes,) distinct labels in their original form, sorted.
    """

    codes: np.ndarray
    classes: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """Return the row numbers of labelled rows."""
        return np.flatnonzero(self.codes != UNLABELLED)

    @property
    def counts(self) -> np.ndarray:
        """Return the number of rows of each class."""
        return np.bincount(self.codes[self.labelled], minlength=len(self.classes))

    def take(self, rows: np.ndarray) -> Labels:
        """Return the labels of some rows, with the same `classes`."""
        return Labels(self.codes[rows], self.classes)

    def values(self, rows: Any = slice(None)) -> np.ndarray:
        """Return the labels of labelled rows; types that scikit-learn does not accept (bytes, dates) become strings."""
        plain = self.classes.dtype.kind in "biufU"
        classes = self.classes if plain else np.array([str(label) for label in self.classes])
        return classes[self.codes[rows]]


def encode_labels(y: Any, n_samples: int | None = None, *, argument: str = "y", fractions: bool = False) -> Labels:
    """Encode labels in any container by position, keeping unlabelled rows apart.

    Unlabelled means -1 of any numeric type, also among strings, the string "-1", and missing values: None, NaN, NA,
    NaT.

    Parameters
    ----------
    y : labels as an array, list, pandas or polars Series, tensor, or a single column of these.
    n_samples : number of rows of X, to check that of y; None to skip the check.
    argument : name of y in error messages.
    fractions : whether labels may be fractional numbers.

    Returns
    -------
    Labels

    Raises
    ------
    TypeError : if y is not array-like, or its labels cannot be sorted.
    ValueError : if the number of values or columns is wrong, y is continuous, or y has only -1 and one class.

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
        raise ValueError(f"{argument} contains -1 (unlabelled) and one class. Recode two classes as 0 and 1.")
    ordered = _sorted(argument, labels)
    places = {label: place for place, label in enumerate(ordered)}
    code_of = np.array([places.get(value, UNLABELLED) for value in values], dtype=np.int64)
    return Labels(code_of[numbers] if len(values) else np.empty(0, dtype=np.int64), np.asarray(ordered))


def encode_together(**parts: Any) -> list[Labels]:
    """Encode several label arrays with the same classes.

    Parameters
    ----------
    **parts : label arrays by their name in error messages, such as y_train and y_test.

    Returns
    -------
    Labels of each part, with the classes of all.

    Raises
    ------
    TypeError, ValueError : as in `encode_labels`, and if the parts contain labels of different types.

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
    """Raise a ValueError if labelled rows cannot be split so that both parts contain every class.

    Parameters
    ----------
    labels : labels of all rows.
    purpose : what the split is for, in error messages.
    """
    if len(labels.classes) < 2:
        found = counted(len(labels.classes), "class", "classes")
        raise ValueError(f"y has labels of {found}, but {purpose} needs 2 or more. Pass more labels.")
    if labels.counts.min() < 2:
        rare = labels.classes[labels.counts.argmin()]
        raise ValueError(
            f"class {rare!s} of y has 1 labelled row, but {purpose} needs 2 or more of each class. Pass more rows."
        )


def _recoded(labels: Labels, classes: np.ndarray) -> Labels:
    # One more entry, since code -1 selects the last.
    code_of = np.append(np.searchsorted(classes, labels.classes), UNLABELLED)
    return Labels(code_of[labels.codes], classes)


def _sorted(argument: str, labels: Any) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise TypeError(f"{argument} mixes labels of types {kinds}. Pass labels of one type.") from error


def _is_unlabelled(label: Any) -> bool:
    return label in _UNLABELLED_TEXTS if isinstance(label, str | bytes) else _is_number(label) and label == UNLABELLED


def _is_number(label: Any) -> bool:
    # In numpy, durations are integers too.
    return isinstance(label, Number | np.bool_) and not isinstance(label, np.timedelta64)


def _check_classes(argument: str, labels: list[Any], *, fractions: bool) -> None:
    """Raise a ValueError if labels cannot be classes."""
    if "nan" in labels:
        raise ValueError(
            f"{argument} contains the text 'nan', which numpy writes for missing values among strings. Mark "
            "unlabelled rows with -1, or rename the class."
        )
    numbers = [label for label in labels if isinstance(label, Real) and _is_number(label)]
    if any(math.isinf(number) for number in numbers):
        raise ValueError(f"Input {argument} contains infinity or a value too large for dtype('float64').")
    odd = next((number for number in numbers if number % 1), None)
    if odd is not None and not fractions:
        raise ValueError(
            f"Unknown label type: continuous. {argument} contains {odd:g}, but classes are whole numbers or strings. "
            "Bin it, for example with KBinsDiscretizer."
        )
