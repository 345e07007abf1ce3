"""Columns of a table, and their similarities to some of its rows: the plain features of tables."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from skclr.files.plain import Plain, check_learned_array
from skclr.modalities.principal import equal_columns, principal_components, project, scaled_to

_FEWEST_FEATURES, _MOST_FEATURES = 128, 512
_N_LANDMARKS = 256
# Rows from which the median distance is estimated.
_COMPARED_ROWS = 500
# Width of the kernel, relative to the median distance.
_WIDTH = 0.7
# Relative to the usual length of rows: where most rows are equal, only equal ones are similar. The distances of equal
# rows are rounding errors, which must be small relative to the width.
_SMALLEST_WIDTH = 0.03
# Total variance of the similarities, relative to that of the columns.
_WEIGHT = 0.25
# Relative to the largest eigenvalue: smaller ones are raised, since their inverse would amplify noise.
_LEAST_EIGENVALUE = 1e-6
_SEED = 0


class RadialFeatures(Plain):
    """Compress columns and an RBF kernel map of them to columns of equal variance.

    The kernel map has a quarter of the total variance of the columns. The principal components of both are rotated to
    columns of equal variance: a StandardScaler after it changes nothing.

    References
    ----------
    Williams and Seeger 2001 (Nystroem). Differs: the columns are added, and both are compressed.
    """

    landmarks_: Tensor
    width_: float
    mean_: Tensor
    axes_: Tensor
    n_features_: int

    def fit(self, x: Tensor) -> Self:
        """Draw the landmarks, and learn the width of the kernel and the components.

        Parameters
        ----------
        x : (n, d) columns of training rows.
        """
        drawn = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(_SEED))]
        self.landmarks_ = drawn[:_N_LANDMARKS].clone()
        median = float(torch.pdist(drawn[:_COMPARED_ROWS]).median())
        length = max(1.0, float(_total_variance(x)) ** 0.5)
        self.width_ = max(_WIDTH * median, _SMALLEST_WIDTH * length)
        similarities, map_axes = self._similarities(x), self._map_axes()
        x_scale = (1 / _total_variance(x)).sqrt()
        map_axes = map_axes * (_WEIGHT / _total_variance(similarities @ map_axes)).sqrt()
        blocks = torch.cat([x * x_scale, similarities @ map_axes], 1)
        self.n_features_ = n_features_for(x.shape[1])
        _, axes, variances = principal_components(blocks, self.n_features_)
        axes = scaled_to(axes, variances, self.n_features_)
        # The axes apply to columns and similarities unscaled: one product, instead of one for each step.
        axes = torch.cat([x_scale * axes[: x.shape[1]], map_axes @ axes[x.shape[1] :]])
        self.axes_ = F.pad(axes, (0, self.n_features_ - axes.shape[1]))
        self.mean_ = torch.cat([x, similarities], 1).mean(0)
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """Return the (B, n_features_) features of columns (B, d)."""
        values = torch.cat([x, self._similarities(x)], 1) - self.mean_.to(x.device)
        return equal_columns(values, self.axes_, self.n_features_)

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        n_landmarks, n_columns = self.landmarks_.shape
        if not 0 < self.n_features_ <= _MOST_FEATURES or not self.width_ >= _SMALLEST_WIDTH:
            raise ValueError(f"{self.n_features_} features of kernels of width {self.width_} are not possible")
        check_learned_array("landmarks_", self.landmarks_, (n_landmarks, n_columns), torch.float32)
        check_learned_array("mean_", self.mean_, (n_columns + n_landmarks,), torch.float32)
        check_learned_array("axes_", self.axes_, (n_columns + n_landmarks, self.n_features_), torch.float32)

    def check_columns(self, n_columns: int) -> None:
        """Raise a ValueError if the features are those of another number of columns."""
        if self.landmarks_.shape[1] != n_columns:
            raise ValueError(f"landmarks of {self.landmarks_.shape[1]} columns are not for a table of {n_columns}")

    def _similarities(self, x: Tensor) -> Tensor:
        """Return the (B, n_landmarks) similarities of rows (B, d) to the landmarks."""
        landmarks = self.landmarks_.to(x.device)
        # Without the landmarks' squares as a tensor: chunks of rows are as small as the largest tensor is large.
        products = project(x, landmarks.T)
        squared = torch.linalg.vecdot(x, x)[:, None] + torch.linalg.vecdot(landmarks, landmarks) - 2 * products
        return (-squared.clamp(min=0.0) / self.width_**2).exp()

    def _map_axes(self) -> Tensor:
        """Return the inverse square root of the similarities of the landmarks to each other."""
        values, vectors = torch.linalg.eigh(self._similarities(self.landmarks_).double())
        values = values.clamp(min=_LEAST_EIGENVALUE * float(values[-1]))
        return (vectors / values.sqrt() @ vectors.T).float()


def n_features_for(n_columns: int) -> int:
    """Return the number of features of a table, a power of two: as many as columns, within bounds."""
    return min(_MOST_FEATURES, max(_FEWEST_FEATURES, 2 ** (n_columns - 1).bit_length()))


def _total_variance(x: Tensor) -> Tensor:
    # All rows may be equal.
    return x.var(0, correction=0).sum().clamp(min=torch.finfo(x.dtype).tiny)
