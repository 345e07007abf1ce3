"""Group ids as users have them, encoded."""

from __future__ import annotations

from typing import Any

import numpy as np

from skclr.data.columns import check_length, distinct, to_column
from skclr.data.positives import UNLABELLED


def encode_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Return a code per row, equal where the ids are equal.

    Parameters
    ----------
    groups : ids in any container, of any types; -1 is an id like others.
    n_samples : rows of X.

    Returns
    -------
    (n_samples,) int64, from 0 on; -1 where an id is missing (None, NaN, NA, NaT), whose row is in no group.

    Raises
    ------
    TypeError, ValueError : for another number of values or columns, and for values that are no ids.

    Examples
    --------
    >>> from skclr.data import encode_groups
    >>> encode_groups(["p1", None, "p1", -1], n_samples=4)
    array([ 0, -1,  0,  2])
    """
    column = to_column("groups", groups)
    check_length("groups", column, n_samples)
    ids, codes = distinct("groups", column)
    missing = np.array([value is None for value in ids], dtype=bool)
    return np.where(missing[codes], UNLABELLED, codes).astype(np.int64)
