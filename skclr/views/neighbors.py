"""Neighbours as views: a row near in the input space shows what the sample could have been."""

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

# Rows among which all distances are measured: the time grows with their number times that of all rows.
_EXACT_ROWS = 50_000
# Stands for the sample itself where no neighbour will do.
_ITSELF = -1
# Rows whose plain features are made at once.
_CHUNK = 1_024


class Neighbors(Views):
    """The sample, and samples drawn from its nearest neighbours; on top of all, other views.

    Parameters
    ----------
    n_neighbors : from so many nearest neighbours one is drawn each time.
    n_views : number of views; the first is the sample itself.
    on_top : view maker that changes the views once more; None leaves them. "auto" is the modality's own, and None
        where there is no modality.
    features : takes samples (B, *shape) to the (B, n) in which distances are measured; the modality gives it.
    algorithm : how neighbours of more than 50,000 rows are found: "subset" searches 50,000 rows taken at equal steps,
        "pynndescent" (`skclr[tables]`) finds nearly all nearest neighbours.

    Notes
    -----
    Up to 50,000 rows the neighbours are exact. Beyond, those of "subset" lie farther away: the k-th neighbour found
    among n rows is about the (k · n / 50,000)-th nearest.

    With validation, neighbours are training samples: also those of a held-out sample, which is itself nobody's.

    Where labels or groups make positives, a neighbour that is known to be of another class is none: the sample itself
    takes its place.

    References
    ----------
    Dwibedi et al. 2021 (NNCLR) and Van Gansbeke et al. 2020 (SCAN), where neighbours are looked for among embeddings.
    Differs: they are those in the input space, found once.

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
            raise ValueError(f"algorithm={algorithm!r} is unknown: give 'subset' or 'pynndescent'")
        self.algorithm = algorithm

    def fit(self, samples: Samples) -> Self:
        """Find the neighbours of all samples."""
        self.samples_ = samples
        self.on_top_ = None if self.on_top == "auto" else copy.deepcopy(self.on_top)
        if self.on_top_ is not None:
            self.on_top_.fit(samples)
        found = _without_itself(nearest(self._points(samples), self.n_neighbors + 1, algorithm=self.algorithm))
        groups = groups_of(samples).numpy()
        self.neighbors_ = torch.from_numpy(_without_strangers(found, groups, groups))
        return self

    def held_out(self, samples: Samples) -> Neighbors:
        """Return a maker for held-out samples: their neighbours are training samples, and they are nobody's."""
        maker = copy.copy(self)
        if self.on_top_ is not None:
            maker.on_top_ = self.on_top_.held_out(samples)
        points, queries = self._points(self.samples_), self._points(samples)
        found = nearest(points, self.n_neighbors, queries, algorithm=self.algorithm)
        maker.neighbors_ = torch.from_numpy(
            _without_strangers(found, groups_of(self.samples_).numpy(), groups_of(samples).numpy())
        )
        return maker

    def release(self) -> None:
        """Let go of the training data."""
        del self.samples_, self.neighbors_
        if self.on_top_ is not None:
            self.on_top_.release()

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Make n_views views of a batch."""
        views = [x] + [self._near(x, rows, generator) for _ in range(self.n_views - 1)]
        if self.on_top_ is None:
            return views
        # Of the views it would make of each, the last: that it changes most.
        return [self.on_top_(view, rows, generator)[-1] for view in views]

    def _near(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        chosen = randint(self.neighbors_.shape[1], (len(rows),), generator)
        near = self.neighbors_[rows.cpu(), chosen.cpu()]
        itself = (near == _ITSELF).to(x.device).view(-1, *[1] * (x.ndim - 1))
        return torch.where(itself, x, self.samples_[near.clamp(min=0).numpy()])

    def _points(self, samples: Samples) -> np.ndarray:
        """Return the (n, d) plain features of all samples."""
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
    """Return the rows of `points` nearest to each query: (n_queries, n_neighbors), or as many as there are points.

    Parameters
    ----------
    points : (n, d).
    n_neighbors : that are looked for.
    queries : (n_queries, d); None is the points themselves, each of which is found too.
    algorithm : of `Neighbors`.
    exact_rows : number of points up to which every algorithm is exact.
    """
    n_points = len(points)
    if n_points > exact_rows and algorithm == "pynndescent":
        pynndescent = import_optional("pynndescent", "tables", "algorithm='pynndescent'")
        index = pynndescent.NNDescent(points, n_neighbors=n_neighbors, random_state=0)
        found, _ = index.neighbor_graph if queries is None else index.query(queries, k=n_neighbors)
        # -1 is where the search has found none: the row itself, or of a query any.
        return np.where(found < 0, np.arange(n_points)[:, None] if queries is None else found[:, :1].clip(0), found)
    # Imported here: it brings all linear models along, for which `import skclr` need not wait.
    from sklearn.neighbors import NearestNeighbors

    candidates = np.arange(0, n_points, -(-n_points // exact_rows))
    index = NearestNeighbors(n_neighbors=min(n_neighbors, len(candidates))).fit(points[candidates])
    return candidates[index.kneighbors(points if queries is None else queries, return_distance=False)]


def _without_itself(found: np.ndarray) -> np.ndarray:
    """Take from (n, k + 1) neighbours each row itself, or where it is not among them the farthest."""
    rows = np.arange(len(found))
    itself = found == rows[:, None]
    others = np.ones(found.shape, dtype=bool)
    others[rows, np.where(itself.any(1), itself.argmax(1), -1)] = False
    return found[others].reshape(len(found), -1)


def _without_strangers(found: np.ndarray, groups: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Put _ITSELF in place of neighbours that are known to be of another group.

    Parameters
    ----------
    found : (n, k) rows of the samples among which neighbours were looked for.
    groups : of those samples.
    own : (n,) groups of the rows whose neighbours they are.
    """
    ids, counts = np.unique(groups if own is groups else np.concatenate([groups, own]), return_counts=True)
    # A row that is alone in its group may be of any.
    known = ids[counts > 1]
    strangers = np.isin(own, known)[:, None] & np.isin(groups, known)[found] & (groups[found] != own[:, None])
    return np.where(strangers, _ITSELF, found)
