"""Positive groups, from labels or ids as users have them: rows of one id are positives of each other."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.data.columns import check_length, distinct, to_column
from skclr.data.labels import UNLABELLED, encode_labels


def row_groups(n_samples: int, labels: Any = None, groups: Any = None, n_extra: int = 0) -> Tensor:
    """Return the id of each row's positive group.

    Parameters
    ----------
    n_samples : number of rows of X.
    labels : (n_samples,) classes that make groups, -1 or missing for unlabelled; None where `groups` is given.
    groups : (n_samples,) ids that make groups; a row without an id is a group of its own. None where `labels` is given.
    n_extra : number of rows after those of X, each a group of its own.

    Returns
    -------
    (n_samples + n_extra,) int64. With labels, the id of a labelled row is the number of its class, from 0 in sorted
    order, and ids of unlabelled rows are negative.

    Raises
    ------
    ValueError, TypeError : for labels and groups at once, and as for `encode_labels` and `encode_groups`.
    """
    if labels is not None and groups is not None:
        raise ValueError("groups= came with positives='labels': rows can have one kind of positives, give one of them")
    if labels is None:
        codes = encode_groups(groups, n_samples)
    elif (codes := encode_labels(labels, n_samples).codes).max(initial=UNLABELLED) == UNLABELLED:
        warnings.warn("y has no label but -1, so that positives='labels' does what 'views' does", stacklevel=2)
    return positive_groups(torch.from_numpy(np.append(codes, np.full(n_extra, UNLABELLED))))


def positive_groups(labels: Tensor) -> Tensor:
    """Turn labels into positive groups; each unlabelled row becomes a group of its own.

    Parameters
    ----------
    labels : (n,) int64; -1 is unlabelled.

    Returns
    -------
    (n,) int64; rows are positives of each other where the ids are equal.
    """
    # Counting down from -1 meets no label: those are 0 or more.
    alone = -1 - torch.arange(len(labels), device=labels.device)
    return torch.where(labels == UNLABELLED, alone, labels)


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
