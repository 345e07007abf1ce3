"""Labels in plots: classes, numbers, and unlabelled rows."""

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
    """Return the label of each row for plotting, by position.

    Parameters
    ----------
    y : labels in any container; with fractions and more than ten values they are numbers.
    n_samples : number of rows of X, to check that of y; None to skip the check.

    Returns
    -------
    (n,) floats for numbers, NaN if missing; else (n,) objects, None for unlabelled rows.

    Raises
    ------
    TypeError, ValueError : as in `encode_labels`, except that fractions are allowed.
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
    # Code -1 selects the last.
    return np.array([*labels.classes.tolist(), None], dtype=object)[labels.codes]


def label_name(label: Any) -> str:
    """Return the text of a label."""
    return UNLABELLED_NAME if label is None else readable(label)
