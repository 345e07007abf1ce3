"""From labels and groups, as users have them, to positive groups."""

from typing import Any

import numpy as np
import torch
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from torch import Tensor

from skclr.parts.groups import UNLABELLED, positive_groups


def row_groups(n_samples: int, labels: Any = None, groups: Any = None, n_extra: int = 0) -> Tensor:
    """Give each row the id of its positive group.

    Parameters
    ----------
    n_samples : number of rows of X.
    labels : (n_samples,) classes that make groups, -1 for unlabelled; None for no labels.
    groups : (n_samples,) ids that make groups; None for none.
    n_extra : number of rows after those of X, each a group of its own.

    Returns
    -------
    (n_samples + n_extra,) int64.

    Raises
    ------
    ValueError : for another length than X's, for both kinds at once, and for continuous labels.
    """
    if labels is not None and groups is not None:
        raise ValueError("groups= came with positives='labels': rows can have one kind of positives, give one of them")
    if labels is None and groups is None:
        return torch.arange(n_samples + n_extra)
    codes = _encode_labels(labels) if groups is None else _encode(groups)
    check_length("groups" if labels is None else "y", codes, n_samples)
    return positive_groups(torch.from_numpy(np.append(codes, np.full(n_extra, UNLABELLED))))


def check_length(argument: str, values: Any, n_samples: int) -> None:
    """Raise a ValueError where an argument does not have one value per row of X."""
    n_values = len(np.asarray(values))
    if n_values != n_samples:
        raise ValueError(f"{argument} has {n_values} values, but X has {n_samples} rows: give one value per row")


def _encode(values: Any) -> np.ndarray:
    return np.unique(column_or_1d(values, warn=False), return_inverse=True)[1].astype(np.int64)


def _encode_labels(labels: Any) -> np.ndarray:
    # Only what is missing is not equal to itself.
    if any(label is None or label != label for label in np.asarray(labels, dtype=object).ravel()):
        raise ValueError("y holds missing values: mark rows without a label with -1")
    kind = type_of_target(labels, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"positives='labels' needs one class per row, but y is {kind}: bin it, for example with "
            "KBinsDiscretizer, or use positives='views'"
        )
    values = column_or_1d(labels)
    codes = _encode(values)
    if values.dtype.kind in "if":
        # Encoding would make a class of the unlabelled.
        codes[values == UNLABELLED] = UNLABELLED
    return codes
