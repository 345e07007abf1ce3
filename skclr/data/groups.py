"""Positive groups from labels or ids: rows with the same id are positives of each other."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.data.columns import check_length, distinct, to_column
from skclr.data.labels import UNLABELLED, encode_labels


def row_groups(n_samples: int, labels: Any = None, groups: Any = None, n_extra: int = 0) -> Tensor:
    """Return the id of the positive group of each row.

    Parameters
    ----------
    n_samples : number of rows of X.
    labels : (n_samples,) classes that define groups, -1 or missing for unlabelled; None if `groups` is given.
    groups : (n_samples,) ids that define groups; a row without an id is its own group. None if `labels` is given.
    n_extra : number of rows after those of X, each its own group.

    Returns
    -------
    (n_samples + n_extra,) int64. With labels, the id of a labelled row is the index of its class in sorted order, and
    ids of unlabelled rows are negative.

    Raises
    ------
    ValueError, TypeError : if both labels and groups are given, and as in `encode_labels` and `encode_groups`.
    """
    if labels is not None and groups is not None:
        raise ValueError("positives='labels' and groups= both define positives. Pass only one of them.")
    if labels is None:
        codes = encode_groups(groups, n_samples)
    elif (codes := encode_labels(labels, n_samples).codes).max(initial=UNLABELLED) == UNLABELLED:
        warnings.warn("y has no labels except -1, so positives='labels' does the same as 'views'", stacklevel=2)
    return positive_groups(torch.from_numpy(np.append(codes, np.full(n_extra, UNLABELLED))))


def positive_groups(labels: Tensor) -> Tensor:
    """Return the positive groups of labels; each unlabelled row is its own group.

    Parameters
    ----------
    labels : (n,) int64; -1 is unlabelled.

    Returns
    -------
    (n,) int64; rows with equal ids are positives of each other.
    """
    # Counting down from -1 avoids the labels, which are 0 or more.
    alone = -1 - torch.arange(len(labels), device=labels.device)
    return torch.where(labels == UNLABELLED, alone, labels)


def encode_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Return a code per row, equal where the ids are equal.

    Parameters
    ----------
    groups : ids in any container, of any types; -1 is an ordinary id.
    n_samples : number of rows of X.

    Returns
    -------
    (n_samples,) int64 from 0; -1 if the id is missing (None, NaN, NA, NaT), so the row is in no group.

    Raises
    ------
    TypeError, ValueError : if the number of values or columns is wrong, or a value cannot be an id.

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
