"""Scaling of an embedding relative to the plain features that are appended to it."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from skclr.files.plain import Plain, check_learned_array
from skclr.modalities.principal import equal_columns, principal_components, scaled_to


class Balance(Plain):
    """Rotate an embedding to columns of equal variance.

    One factor scales all of it: a factor per column would amplify those that hardly vary, which are noise.
    """

    mean_: Tensor
    axes_: Tensor

    def fit(self, embedding: Tensor, total_variance: float) -> Self:
        """Learn rotation and factor from the embedding of training rows.

        Parameters
        ----------
        embedding : (n, d).
        total_variance : sum of the variances of the returned columns.
        """
        width = embedding.shape[1]
        self.mean_, axes, variances = principal_components(embedding, width)
        # Directions without variance in training are kept, since other rows may vary in them.
        rest = torch.linalg.qr(axes, mode="complete").Q[:, axes.shape[1] :]
        self.axes_ = scaled_to(torch.cat([axes, rest], 1), variances, total_variance)
        return self

    def __call__(self, embedding: Tensor) -> Tensor:
        """Return the (B, d) columns for an embedding (B, d)."""
        return equal_columns(embedding.float() - self.mean_.to(embedding.device), self.axes_, embedding.shape[1])

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        width = len(self.mean_)
        check_learned_array("mean_", self.mean_, (width,), torch.float32)
        check_learned_array("axes_", self.axes_, (width, width), torch.float32)
