"""The embedding as columns of `transform` next to plain features."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from skclr.files.plain import Plain, check_learned_array
from skclr.modalities.principal import equal_columns, principal_components, scaled_to

# The label-free score, as a share of the largest possible one, at which an embedding begins to add information to plain
# features, and at which it gets its full weight.
_USELESS, _USEFUL = 0.2, 0.3
# Fewer columns among hundreds of plain features are not worth their noise.
_FEWEST_COLUMNS = 16


class Balance(Plain):
    """Rotate the first principal components of an embedding to columns of equal variance.

    One factor scales all of it: a factor per column would amplify those that hardly vary, which are noise.
    """

    mean_: Tensor
    axes_: Tensor

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.axes_.shape[1]

    def fit(self, embedding: Tensor, n_columns: int, total_variance: float) -> Self:
        """Learn rotation and factor from the embedding of training rows.

        Parameters
        ----------
        embedding : (n, d).
        n_columns : number of columns, at most d; 0 leaves the embedding out.
        total_variance : sum of the variances of the columns.
        """
        self.mean_, axes, variances = principal_components(embedding, n_columns)
        # Directions without variance in training are kept, since other rows may vary in them.
        rest = torch.linalg.qr(axes, mode="complete").Q[:, axes.shape[1] : n_columns]
        self.axes_ = scaled_to(torch.cat([axes, rest], 1), variances, total_variance)
        return self

    def __call__(self, embedding: Tensor) -> Tensor:
        """Return the (B, n_columns) columns for an embedding (B, d)."""
        return equal_columns(embedding.float() - self.mean_.to(embedding.device), self.axes_, self.n_columns)

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        width = len(self.mean_)
        check_learned_array("mean_", self.mean_, (width,), torch.float32)
        check_learned_array("axes_", self.axes_, (width, min(width, self.axes_.shape[-1])), torch.float32)


def total_variance(features: np.ndarray | csr_matrix) -> float:
    """Return the sum of the variances of the columns of features (n, d)."""
    if isinstance(features, np.ndarray):
        return float(features.var(0).sum())
    return float(features.power(2).sum() / features.shape[0] - np.square(features.mean(0)).sum())


def share_of_weight(score: float, n_samples: int) -> float:
    """Return the share of its full weight that an embedding gets, from 0 to 1.

    Parameters
    ----------
    score : `info_nce_bound` of two views of the training samples.
    n_samples : number of these samples, which bounds the score.
    """
    known = score / math.log(n_samples)
    return min(1.0, max(0.0, (known - _USELESS) / (_USEFUL - _USELESS)))


def n_columns_for(weight: float, n_plain: int) -> int:
    """Return the number of columns of an embedding next to `n_plain` plain features, all of one variance.

    Parameters
    ----------
    weight : weight of the embedding relative to the plain features.
    n_plain : number of plain features.

    Returns
    -------
    A power of two, for which the rotation to equal variances is exact; 0 if there would be only a few.
    """
    n_columns = 2 ** math.floor(math.log2(max(1.0, weight * n_plain)))
    return n_columns if n_columns >= _FEWEST_COLUMNS else 0
