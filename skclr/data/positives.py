"""Positive groups: one id per row, and rows of one id are positives of each other."""

import torch
from torch import Tensor

UNLABELLED = -1


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
