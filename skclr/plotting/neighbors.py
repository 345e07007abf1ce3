"""Plots of nearest neighbours in the embedding."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skclr.model import rows_of
from skclr.plotting.base import grid_of_axes
from skclr.plotting.embedding import dense_features
from skclr.plotting.labels import label_name, read_labels
from skclr.plotting.samples import Drawing, draw_samples, shortened, some_rows


class NeighborsDisplay:
    """Some rows and their nearest neighbours in the embedding, by cosine similarity.

    Parameters
    ----------
    drawings : list of list of Drawing
        One list per query: the query itself, then its neighbours.
    similarities : ndarray of shape (n_queries, n_neighbors)
        Cosine similarity of each neighbour.
    labels : ndarray of shape (n_queries, 1 + n_neighbors), default=None
        Labels of the queries and neighbours.
    rows : ndarray of shape (n_queries, 1 + n_neighbors), default=None
        Their row numbers in X.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes that contain the grid.
    axes_ : ndarray of matplotlib Axes
        The grid, with one query per row.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.plotting import NeighborsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> NeighborsDisplay.from_estimator(embedder, X, y).axes_.shape
    (5, 7)
    """

    def __init__(
        self, drawings: list[list[Drawing]], similarities: np.ndarray, labels: Any = None, rows: Any = None
    ) -> None:
        self.drawings = drawings
        self.similarities = similarities
        self.labels = labels
        self.rows = rows

    @classmethod
    def from_estimator(
        cls,
        embedder: Any,
        X: Any,
        y: Any = None,
        *,
        queries: Any = None,
        n_queries: int = 5,
        n_neighbors: int = 6,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Find and draw the nearest neighbours of some queries.

        Parameters
        ----------
        embedder : ContrastiveEmbedder
            Fitted.
        X : array or DataFrame of n samples
            Rows that are searched for neighbours.
        y : array of shape (n,), default=None
            Labels to show.
        queries : array of int, default=None
            Row numbers in X; None draws `n_queries` at random.
        n_queries, n_neighbors : int
            Number of queries, and of neighbours of each.
        random_state : int, default=0
            Seed of the draw.
        ax : matplotlib Axes, default=None
            The axes to replace by the grid; None creates a figure.

        Returns
        -------
        The display.
        """
        X = rows_of(embedder, X)
        labels = None if y is None else read_labels(y, len(X))
        chosen = some_rows(X, n_queries, random_state) if queries is None else np.asarray(queries)
        found, similarities = most_similar(dense_features(embedder, X.as_given()), n_neighbors, chosen)
        rows = np.column_stack([chosen, found])
        # Each row is drawn once, though it may be near several queries.
        distinct, places = np.unique(rows, return_inverse=True)
        drawn = draw_samples(embedder, X[distinct])
        drawings = [[drawn[i] for i in line] for line in places.reshape(rows.shape)]
        return cls(drawings, similarities, None if labels is None else labels[rows], rows).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to replace by the grid; None creates a figure.

        Returns
        -------
        The display.
        """
        n_queries, n_neighbors = self.similarities.shape
        width, height = self.drawings[0][0].cell
        cell = width, height + 0.25
        self.ax_, self.axes_ = grid_of_axes(ax, n_queries, 1 + n_neighbors, cell)
        self.figure_ = self.ax_.figure
        for i, axes in enumerate(self.axes_):
            for j, small in enumerate(axes):
                self.drawings[i][j].draw(small)
                small.set_title(self._title(i, j), fontsize=8, pad=3, weight="normal" if j else "bold")
        return self

    def _title(self, i: int, j: int) -> str:
        parts = [] if self.labels is None else [shortened(label_name(self.labels[i, j]), 10)]
        return " · ".join([*parts, f"{self.similarities[i, j - 1]:.2f}"] if j else parts or ["query"])


def most_similar(
    embedding: np.ndarray, n_neighbors: int, queries: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest other rows by cosine similarity.

    Parameters
    ----------
    embedding : (n, d).
    n_neighbors : number of neighbours; at most n - 1 are found.
    queries : row numbers; None for all.

    Returns
    -------
    Row numbers (n_queries, n_neighbors), nearest first, and their similarities.
    """
    unit = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    queries = np.arange(len(unit)) if queries is None else queries
    n_found = min(n_neighbors, len(unit) - 1)
    # For unit vectors, the nearest by distance are the nearest by cosine, and scikit-learn finds them many times
    # faster.
    index = NearestNeighbors(n_neighbors=n_found + 1, algorithm="brute").fit(unit)
    rows = index.kneighbors(unit[queries], return_distance=False)
    # If rows are equal, a row itself need not come first.
    other = rows != np.asarray(queries)[:, None]
    other[other.all(1), -1] = False
    rows = rows[other].reshape(len(queries), n_found)
    return rows, np.einsum("qd,qnd->qn", unit[queries], unit[rows])
