"""Neighbours as views: a row near in the input space shows what the sample could have been."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from skclr.views.base import Samples, Views

# Rows among which neighbours are looked for: the time grows with their number times that of all rows.
_CANDIDATES = 50_000
# Rows whose plain features are made at once.
_CHUNK = 1_024


class Neighbors(Views):
    """The sample, and samples drawn from its nearest neighbours; on top of all, other views.

    Parameters
    ----------
    n_neighbors : from so many nearest neighbours one is drawn each time.
    n_views : number of views; the first is the sample itself.
    on_top : view maker that changes the views once more; None leaves them. The modality's own is the default.
    features : takes samples (B, *shape) to the (B, n) in which distances are measured; the modality gives it.

    References
    ----------
    Dwibedi et al. 2021 (NNCLR) and Van Gansbeke et al. 2020 (SCAN), where neighbours are looked for among embeddings.
    Differs: they are those in the input space, found once; where the data have more than 50,000 rows, they are looked
    for among so many of them.
    """

    def __init__(
        self,
        n_neighbors: int = 10,
        n_views: int = 2,
        on_top: Views | None = None,
        features: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if n_neighbors < 1:
            raise ValueError(f"n_neighbors={n_neighbors}: give 1 or more")
        if n_views < 2:
            raise ValueError(f"n_views={n_views}: give 2 or more")
        self.n_neighbors = n_neighbors
        self.n_views = n_views
        self.on_top = on_top
        self.features = features

    def fit(self, samples: Samples) -> Self:
        """Find the neighbours of all samples."""
        self.samples_ = samples
        self.on_top_ = copy.deepcopy(self.on_top)
        if self.on_top_ is not None:
            self.on_top_.fit(samples)
        n_samples = len(samples)
        chunks = [samples[np.arange(i, min(i + _CHUNK, n_samples))] for i in range(0, n_samples, _CHUNK)]
        points = np.concatenate([self._features(x).float().cpu().numpy() for x in chunks])
        candidates = np.arange(0, n_samples, -(-n_samples // _CANDIDATES))
        n_neighbors = min(self.n_neighbors + 1, len(candidates))
        index = NearestNeighbors(n_neighbors=n_neighbors).fit(points[candidates])
        found = candidates[index.kneighbors(points, return_distance=False)]
        self.neighbors_ = torch.from_numpy(_without_itself(found))
        return self

    def release(self) -> None:
        """Let go of the training data."""
        del self.samples_, self.neighbors_
        if self.on_top_ is not None:
            self.on_top_.release()

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Make n_views views of a batch."""
        views = [x] + [self._near(rows, generator) for _ in range(self.n_views - 1)]
        if self.on_top_ is None:
            return views
        # Of the views it would make of each, the last: that it changes most.
        return [self.on_top_(view, rows, generator)[-1] for view in views]

    def _near(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(self.neighbors_.shape[1], (len(rows),), generator=generator, device=generator.device)
        return self.samples_[self.neighbors_[rows.cpu(), chosen.cpu()].numpy()]

    def _features(self, x: Tensor) -> Tensor:
        return x.flatten(1) if self.features is None else self.features(x)


def _without_itself(found: np.ndarray) -> np.ndarray:
    """Take from (n, k + 1) neighbours each row itself, or where it is not among them the farthest."""
    itself = found == np.arange(len(found))[:, None]
    itself[~itself.any(1), -1] = True
    return found[~itself].reshape(len(found), -1)
