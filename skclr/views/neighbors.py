"""Nearest neighbours in the input space as views of a sample."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from skclr.arguments import check_number
from skclr.optional import import_optional
from skclr.randomness import randint
from skclr.views.base import Samples, Views, check_n_views, check_on_top, groups_of

# Largest number of rows for exact search, whose time is proportional to this number times the number of queries.
_EXACT_ROWS = 50_000
# Placeholder for the sample itself if a neighbour cannot be used.
_SELF = -1
# Rows whose features are computed at once.
_CHUNK = 1_024


class Neighbors(Views):
    """The sample and random ones of its nearest neighbours, optionally changed by further views.

    Parameters
    ----------
    n_neighbors : number of nearest neighbours from which one is drawn each time.
    n_views : number of views; the first is the sample itself.
    on_top : view maker applied to each of these views; None leaves them unchanged. "auto" is the modality's default, or
        None without a modality.
    features : maps samples (B, *shape) to features (B, n) in which distances are measured; provided by the modality.
    algorithm : search method for more than 50,000 rows: "subset" searches 50,000 evenly spaced rows, "pynndescent"
        (`skclr[tables]`) finds nearly all nearest neighbours.

    Notes
    -----
    Up to 50,000 rows the neighbours are exact. For n rows beyond that, "subset" finds neighbours farther away: the k-th
    found is about the (k · n / 50,000)-th nearest.

    With validation, all neighbours are training samples: a held-out sample has neighbours, but is never one.

    If labels or groups define positives, neighbours with a different known label are replaced by the sample itself.

    References
    ----------
    Dwibedi et al. 2021 (NNCLR) and Van Gansbeke et al. 2020 (SCAN), which search among embeddings. Differs: neighbours
    are searched in the input space, once.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import Neighbors
    >>> x = torch.randn(100, 4)
    >>> maker = Neighbors(n_neighbors=3).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> bool((views[0] == x).all()), bool((views[1][0] == x).all(1).any())
    (True, True)
    """

    facts = ("on_top", "features")

    def __init__(
        self,
        n_neighbors: int = 10,
        n_views: int = 2,
        on_top: Views | Literal["auto"] | None = "auto",
        features: Callable[[Tensor], Tensor] | None = None,
        algorithm: Literal["subset", "pynndescent"] = "subset",
    ) -> None:
        check_number("n_neighbors", n_neighbors, 1, whole=True)
        check_n_views(n_views, least=2)
        self.n_neighbors = n_neighbors
        self.n_views = n_views
        if on_top != "auto":
            check_on_top(on_top)
        self.on_top = on_top
        self.features = features
        if algorithm not in ("subset", "pynndescent"):
            raise ValueError(f"algorithm={algorithm!r} is unknown. Pass 'subset' or 'pynndescent'.")
        self.algorithm = algorithm

    def fit(self, samples: Samples) -> Self:
        """Find the neighbours of all samples."""
        self.samples_ = samples
        self.on_top_ = None if self.on_top == "auto" else copy.deepcopy(self.on_top)
        if self.on_top_ is not None:
            self.on_top_.fit(samples)
        found = _drop_self(nearest(self._points(samples), self.n_neighbors + 1, algorithm=self.algorithm))
        groups = groups_of(samples).numpy()
        self.neighbors_ = torch.from_numpy(_mask_other_groups(found, groups, groups))
        return self

    def held_out(self, samples: Samples) -> Neighbors:
        """Return a maker for held-out samples, whose neighbours are training samples."""
        maker = copy.copy(self)
        if self.on_top_ is not None:
            maker.on_top_ = self.on_top_.held_out(samples)
        points, queries = self._points(self.samples_), self._points(samples)
        found = nearest(points, self.n_neighbors, queries, algorithm=self.algorithm)
        maker.neighbors_ = torch.from_numpy(
            _mask_other_groups(found, groups_of(self.samples_).numpy(), groups_of(samples).numpy())
        )
        return maker

    def release(self) -> None:
        """Drop references to the training data."""
        del self.samples_, self.neighbors_
        if self.on_top_ is not None:
            self.on_top_.release()

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return n_views views of a batch."""
        views = [x] + [self._draw_neighbors(x, rows, generator) for _ in range(self.n_views - 1)]
        if self.on_top_ is None:
            return views
        # The last of its views, which it changes most.
        return [self.on_top_(view, rows, generator)[-1] for view in views]

    def _draw_neighbors(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        chosen = randint(self.neighbors_.shape[1], (len(rows),), generator)
        near = self.neighbors_[rows.cpu(), chosen.cpu()]
        itself = (near == _SELF).to(x.device).view(-1, *[1] * (x.ndim - 1))
        return torch.where(itself, x, self.samples_[near.clamp(min=0).numpy()])

    def _points(self, samples: Samples) -> np.ndarray:
        """Return the (n, d) features of all samples."""
        n_samples = len(samples)
        chunks = [samples[np.arange(i, min(i + _CHUNK, n_samples))] for i in range(0, n_samples, _CHUNK)]
        return np.concatenate([self._features(x).float().cpu().numpy() for x in chunks])

    def _features(self, x: Tensor) -> Tensor:
        return x.flatten(1) if self.features is None else self.features(x)


def nearest(
    points: np.ndarray,
    n_neighbors: int,
    queries: np.ndarray | None = None,
    *,
    algorithm: str = "subset",
    exact_rows: int = _EXACT_ROWS,
) -> np.ndarray:
    """Return the rows of `points` nearest to each query, (n_queries, min(n_neighbors, n)).

    Parameters
    ----------
    points : (n, d).
    n_neighbors : number of neighbours.
    queries : (n_queries, d); None queries the points themselves, each of which is among its neighbours.
    algorithm : as in `Neighbors`.
    exact_rows : number of points up to which every algorithm is exact.
    """
    n_points = len(points)
    if n_points > exact_rows and algorithm == "pynndescent":
        pynndescent = import_optional("pynndescent", "tables", "algorithm='pynndescent'")
        index = pynndescent.NNDescent(points, n_neighbors=n_neighbors, random_state=0)
        found, _ = index.neighbor_graph if queries is None else index.query(queries, k=n_neighbors)
        # -1 means that the search found none: use the row itself or, for a query, its nearest.
        return np.where(found < 0, np.arange(n_points)[:, None] if queries is None else found[:, :1].clip(0), found)
    # Imported here, since it imports all linear models, which would slow down `import skclr`.
    from sklearn.neighbors import NearestNeighbors

    candidates = np.arange(0, n_points, -(-n_points // exact_rows))
    index = NearestNeighbors(n_neighbors=min(n_neighbors, len(candidates))).fit(points[candidates])
    return candidates[index.kneighbors(points if queries is None else queries, return_distance=False)]


def _drop_self(found: np.ndarray) -> np.ndarray:
    """Remove from (n, k + 1) neighbours each row itself, or the farthest neighbour if the row is not among them."""
    rows = np.arange(len(found))
    itself = found == rows[:, None]
    others = np.ones(found.shape, dtype=bool)
    others[rows, np.where(itself.any(1), itself.argmax(1), -1)] = False
    return found[others].reshape(len(found), -1)


def _mask_other_groups(found: np.ndarray, groups: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Replace neighbours that are known to belong to another group by _SELF.

    Parameters
    ----------
    found : (n, k) rows of the neighbours.
    groups : groups of the samples that were searched.
    own : (n,) groups of the queries.
    """
    ids, counts = np.unique(groups if own is groups else np.concatenate([groups, own]), return_counts=True)
    # A row alone in its group has no known group.
    known = ids[counts > 1]
    of_other_classes = np.isin(own, known)[:, None] & np.isin(groups, known)[found] & (groups[found] != own[:, None])
    return np.where(of_other_classes, _SELF, found)
