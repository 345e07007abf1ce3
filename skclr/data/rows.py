"""Rows: the interpretation of X, in one place."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np
from scipy.sparse import issparse

from skclr.data.files import IMAGE_SUFFIXES, file_states
from skclr.data.sources import holds_views, open_source
from skclr.data.stored import Stored
from skclr.measures import evenly_spaced_rows


class Rows:
    """The rows of X: one container, or several aligned views of the same samples.

    `Rows.of(X)` opens what a user passes as X. Estimators accept Rows instead of X, so that X is opened only once,
    however often some of its rows are needed. Rows of a container on disk are read when they are indexed.

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
                f"X holds {len(lengths)} views of {', '.join(map(str, lengths))} samples. Pass views of the same "
                "samples in the same order."
            )

    @classmethod
    def of(cls, X: Any, *, paired: bool = False) -> Rows:
        """Return the rows of X.

        Parameters
        ----------
        X : data as passed by a user; Rows are returned as they are.
        paired : whether X holds several views of each sample: a tuple of containers, or one array
            (n, n_views, *shape).

        Returns
        -------
        Rows of one view, unless X is a tuple of views (see `skclr.data.sources.holds_views`) or `paired`.

        Raises
        ------
        ValueError, TypeError : if X holds no samples, or a single view of each sample although `paired` is True.
        """
        rows = X if isinstance(X, Rows) else cls(_open(X, paired=paired))
        if paired and rows.n_views < 2:
            raise ValueError(
                "views='paired' takes the views from X, but X holds one view per sample. Pass a tuple of aligned "
                "arrays, or one array (n, n_views, *shape)."
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
        # Lists take only numbers, so masks and negative numbers are converted for all containers alike.
        places = index if isinstance(index, slice) else np.arange(len(self))[index]
        return Rows([_take(side, places) for side in self.sides])

    def blocks(self, size: int) -> Iterator[Rows]:
        """Yield all rows in order, `size` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def spread(self, most: int = 5_000) -> Rows:
        """Return `most` evenly spaced rows, or all if there are fewer; other rows are not read."""
        return self if len(self) <= most else self[evenly_spaced_rows(len(self), most)]

    def single(self) -> Any:
        """Return the only container.

        Raises
        ------
        ValueError : if there are several views.
        """
        if self.n_views > 1:
            raise ValueError("X is a tuple of views, but transform embeds one. Pass transform(X[0]).")
        return self.sides[0]

    def fingerprint(self) -> str:
        """Return a hash of the rows, and of path, size and modification time where they name image files."""
        paths = [path for side in self.sides for path in _image_paths(side)]
        digest: str = joblib.hash((self.sides, file_states(paths)))
        return digest

    def as_given(self) -> Any:
        """Return X in the form that users pass: a container, or a tuple with one per view."""
        return self.sides if self.n_views > 1 else self.sides[0]


def _open(X: Any, *, paired: bool) -> list[Any]:
    """Open the containers that X holds, one per view."""
    if isinstance(X, tuple) and X and holds_views(X, paired=paired):
        return [open_source(view) for view in X]
    X = open_source(X)
    # A text is a sample without a shape.
    if not paired or len(getattr(X, "shape", ())) < (2 if _holds_text(X) else 3):
        return [X]
    if isinstance(X, Stored):
        return [X.parsed(operator.itemgetter((slice(None), view))) for view in range(X.shape[1])]
    return [X[:, view] for view in range(X.shape[1])]


def _holds_text(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.size > 0 and all(isinstance(value, str) for value in X.flat)


def _image_paths(X: Any) -> list[Any]:
    """Return the entries of a sequence that name image files."""
    if not isinstance(X, list) and (len(getattr(X, "shape", ())) != 1 or isinstance(X, Stored)):
        return []
    named = [entry for entry in X if isinstance(entry, str | os.PathLike)]
    return [path for path in named if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES and os.path.isfile(path)]


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
