"""Views of table rows."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from skclr.views.base import Samples, Views

# Rows that stand for the whole training set's marginals.
_REFERENCE_ROWS = 65_536


class MarginalCorruption(Views):
    """Replace random entries of a row by the same column's entry of another training row.

    Parameters
    ----------
    n_views : number of views.
    rate : share of entries replaced, one value for all views or one per view.

    References
    ----------
    Bahri et al. 2022 (SCARF), algorithm 1. Differs: each entry is replaced with probability `rate`
    instead of an exact number of them, and any view may be corrupted.
    """

    def __init__(self, n_views: int = 2, rate: float | Sequence[float] = (0.0, 0.6)) -> None:
        rates = [rate] * n_views if isinstance(rate, int | float) else list(rate)
        if len(rates) != n_views or not all(0 <= r <= 1 for r in rates):
            raise ValueError(f"rate={rate}: give one number in [0, 1], or n_views={n_views} of them")
        self.n_views = n_views
        self.rate = rate
        self.rates_ = rates

    def fit(self, samples: Samples) -> Self:
        """Hold rows from whose columns replacements are drawn."""
        step = max(1, len(samples) // _REFERENCE_ROWS)
        self.reference_ = samples[np.arange(0, len(samples), step)]
        return self

    def release(self) -> None:
        """Let go of the training rows."""
        del self.reference_

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Make n_views views of (B, d) rows."""
        return [self._corrupt(x, rate, generator) if rate else x for rate in self.rates_]

    def _corrupt(self, x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        donors = torch.randint(len(self.reference_), x.shape, generator=generator, device=x.device)
        replaced = torch.rand(x.shape, generator=generator, device=x.device) < rate
        return torch.where(replaced, self.reference_.gather(0, donors), x)
