"""From labels and groups, as users have them, to positive groups."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.data import encode_groups, encode_labels
from skclr.data.positives import UNLABELLED, positive_groups


def row_groups(n_samples: int, labels: Any = None, groups: Any = None, n_extra: int = 0) -> Tensor:
    """Return the id of each row's positive group.

    Parameters
    ----------
    n_samples : number of rows of X.
    labels : (n_samples,) classes that make groups, -1 or missing for unlabelled; None for no labels.
    groups : (n_samples,) ids that make groups; a row without an id is a group of its own. None for no groups.
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
    if labels is None and groups is None:
        return torch.arange(n_samples + n_extra)
    if labels is None:
        codes = encode_groups(groups, n_samples)
    elif (codes := encode_labels(labels, n_samples).codes).max(initial=UNLABELLED) == UNLABELLED:
        warnings.warn("y has no label but -1, so that positives='labels' does what 'views' does", stacklevel=2)
    return positive_groups(torch.from_numpy(np.append(codes, np.full(n_extra, UNLABELLED))))
