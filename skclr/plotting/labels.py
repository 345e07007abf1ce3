"""Labels as they are shown: classes, numbers on a scale, and rows without a label."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skclr.data import check_length, encode_labels
from skclr.data.columns import distinct, to_column
from skclr.plotting.base import COLORS
from skclr.plotting.samples import readable

UNLABELLED_NAME = "unlabelled"


def read_labels(y: Any, n_samples: int | None = None) -> np.ndarray:
    """Return what is shown of each row's label, by position.

    Parameters
    ----------
    y : labels in any container; fractions of more than ten values are a scale.
    n_samples : rows of X, where their number is to be checked.

    Returns
    -------
    (n,) floats for a scale, NaN where a number is missing; else (n,) objects, None where a row is unlabelled.

    Raises
    ------
    TypeError, ValueError : as for `encode_labels`, except that numbers may be fractions.
    """
    column = to_column("y", y)
    if n_samples is not None:
        check_length("y", column, n_samples)
    values, places = distinct("y", column)
    known = [value for value in values if value is not None]
    is_continuous = all(isinstance(value, Real) for value in known) and any(value % 1 for value in known)
    if is_continuous and len(known) > len(COLORS):
        return np.array([np.nan if value is None else float(value) for value in values])[places]
    labels = encode_labels(column, fractions=True)
    # Code -1 takes the last.
    return np.array([*labels.classes.tolist(), None], dtype=object)[labels.codes]


def label_name(label: Any) -> str:
    """Return the text by which a label is shown."""
    return UNLABELLED_NAME if label is None else readable(label)
