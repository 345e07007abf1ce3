"""Views given by the user: question and answer, two cameras, augmentations made elsewhere."""

from __future__ import annotations

import copy
from typing import Self

import numpy as np
import torch
from torch import Tensor

from skclr.views.base import Samples, Views, check_on_top, groups_of


class Paired(Views):
    """The views given in X, optionally changed by further views.

    Parameters
    ----------
    on_top : view maker applied to each view; None leaves them unchanged.

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
        """Learn the number of views, and fit the view maker on top to the first of them."""
        self.n_views = samples[np.arange(1)].shape[1]
        self.on_top_ = copy.deepcopy(self.on_top)
        if self.on_top_ is not None:
            self.on_top_.fit(_FirstViews(samples))
        return self

    def held_out(self, samples: Samples) -> Paired:
        """Return a maker whose view maker on top is for held-out samples."""
        maker = copy.copy(self)
        if self.on_top_ is not None:
            maker.on_top_ = self.on_top_.held_out(_FirstViews(samples))
        return maker

    def release(self) -> None:
        """Drop references to the training data."""
        if self.on_top_ is not None:
            self.on_top_.release()

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Split samples (B, n_views, *shape) into n_views tensors (B, *shape), and apply the views on top."""
        views = list(x.unbind(1))
        if self.on_top_ is None:
            return views
        # The last of its views, which it changes most.
        return [self.on_top_(view, rows, generator)[-1] for view in views]


class _FirstViews:
    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.groups = groups_of(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        return self.samples[rows][:, 0]
