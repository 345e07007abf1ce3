"""Rows: the one answer to what X is."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skclr.data.sources import holds_views, opened
from skclr.data.stored import Stored
from skclr.measures import spread_rows


class Rows:
    """The rows of X: one container, or several aligned views of the same samples.

    `Rows.of(X)` opens what a user passes as X. Estimators accept Rows in place of X, so that X is opened once, however
    often some of its rows are needed. Rows of a container on disk are read when they are taken.

    Parameters
    ----------
    sides : opened containers, one per view; row i of each is sample i.

    Raises
    ------
    ValueError : if the views differ in their number of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.data import Rows
    >>> rows = Rows.of((np.arange(6).reshape(3, 2), np.zeros((3, 2))))
    >>> len(rows), rows.n_views
    (3, 2)
    >>> rows[np.array([2, 0])].first.single()
    array([[4, 5],
           [0, 1]])
    """

    def __init__(self, sides: Sequence[Any]) -> None:
        self.sides = tuple(sides)
        lengths = [_n_rows(side) for side in self.sides]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"X holds {len(lengths)} views of {', '.join(map(str, lengths))} samples: pass views of the same "
                "samples in the same order"
            )

    @classmethod
    def of(cls, X: Any, *, paired: bool = False) -> Rows:
        """Open X.

        Parameters
        ----------
        X : what a user passed; Rows are returned as they are.
        paired : whether X holds several views of each sample: a tuple of containers, or one array
            (n, n_views, *shape).

        Returns
        -------
        Rows of one view, unless X is a tuple of views (see `skclr.data.sources.holds_views`) or `paired`.

        Raises
        ------
        ValueError, TypeError : if X holds no samples, or one view of each although it is `paired`.
        """
        rows = X if isinstance(X, Rows) else cls(_open(X, paired=paired))
        if paired and rows.n_views < 2:
            raise ValueError(
                "views='paired' takes the views from X, and X holds one of each sample: pass a tuple of aligned "
                "arrays, or one array (n, n_views, *shape)"
            )
        return rows

    @property
    def n_views(self) -> int:
        """Return the number of views of each sample."""
        return len(self.sides)

    @property
    def first(self) -> Rows:
        """Return the first view of each sample."""
        return Rows(self.sides[:1])

    def __len__(self) -> int:
        return _n_rows(self.sides[0])

    def __getitem__(self, index: np.ndarray | slice) -> Rows:
        # An index of a list is a number: masks and negative numbers mean the same for all containers.
        places = index if isinstance(index, slice) else np.arange(len(self))[index]
        return Rows([_take(side, places) for side in self.sides])

    def blocks(self, size: int) -> Iterator[Rows]:
        """Yield all rows in their order, `size` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def spread(self, most: int = 5_000) -> Rows:
        """Return `most` rows at equal steps, or all of them if they are fewer; other rows are not read."""
        return self if len(self) <= most else self[spread_rows(len(self), most)]

    def single(self) -> Any:
        """Return the one container.

        Raises
        ------
        ValueError : if there are several views.
        """
        if self.n_views > 1:
            raise ValueError("X is a tuple of views, but transform embeds one: pass transform(X[0])")
        return self.sides[0]

    def as_given(self) -> Any:
        """Return X as a user passes it: the one container, or a tuple of one per view."""
        return self.sides if self.n_views > 1 else self.sides[0]


def _open(X: Any, *, paired: bool) -> list[Any]:
    """Open the containers that X holds, one per view."""
    if isinstance(X, tuple) and X and holds_views(X, paired=paired):
        return [opened(view) for view in X]
    X = opened(X)
    # A text is a sample without a shape of its own.
    if not paired or len(getattr(X, "shape", ())) < (2 if _holds_text(X) else 3):
        return [X]
    if isinstance(X, Stored):
        return [X.parsed(operator.itemgetter((slice(None), view))) for view in range(X.shape[1])]
    return [X[:, view] for view in range(X.shape[1])]


def _holds_text(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.size > 0 and all(isinstance(value, str) for value in X.flat)


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _take(X: Any, places: np.ndarray | slice) -> Any:
    if isinstance(X, list):
        return X[places] if isinstance(places, slice) else [X[place] for place in places]
    if issparse(X):
        return X.tocsr()[places]
    if hasattr(X, "iloc"):
        return X.iloc[places]
    return X[places] if hasattr(X, "shape") else np.asarray(X)[places]
