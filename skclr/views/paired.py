"""Views that the user gives: question and answer, two cameras, augmentations made elsewhere."""

from __future__ import annotations

import copy
from typing import Self

import numpy as np
import torch
from torch import Tensor

from skclr.views.base import Samples, Views, check_on_top, groups_of


class Paired(Views):
    """The views that X holds, and on top of all, other views.

    Parameters
    ----------
    on_top : view maker that changes each view once more; None shows them as they are.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import Paired
    >>> x = torch.randn(8, 2, 4)
    >>> maker = Paired().fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> bool((views[0] == x[:, 0]).all()), bool((views[1] == x[:, 1]).all())
    (True, True)
    """

    shows_given = True

    def __init__(self, on_top: Views | None = None) -> None:
        check_on_top(on_top)
        self.on_top = on_top

    def fit(self, samples: Samples) -> Self:
        """Learn how many views there are, and what the views on top learn from the first of them."""
        self.n_views = samples[np.arange(1)].shape[1]
        self.on_top_ = copy.deepcopy(self.on_top)
        if self.on_top_ is not None:
            self.on_top_.fit(_FirstViews(samples))
        return self

    def held_out(self, samples: Samples) -> Paired:
        """Return a maker whose views on top are those of held-out samples."""
        maker = copy.copy(self)
        if self.on_top_ is not None:
            maker.on_top_ = self.on_top_.held_out(_FirstViews(samples))
        return maker

    def release(self) -> None:
        """Let go of the training data."""
        if self.on_top_ is not None:
            self.on_top_.release()

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Take samples (B, n_views, *shape) to n_views tensors (B, *shape)."""
        views = list(x.unbind(1))
        if self.on_top_ is None:
            return views
        # Of the views it would make of each, the last: that it changes most.
        return [self.on_top_(view, rows, generator)[-1] for view in views]


class _FirstViews:
    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.groups = groups_of(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        return self.samples[rows][:, 0]
