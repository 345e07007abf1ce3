"""Plots of samples and of the views that the network sees."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skclr.model import rows_of
from skclr.plotting.base import grid_of_axes
from skclr.plotting.samples import Drawing, some_rows, some_views


class ViewsDisplay:
    """Samples and the views that training makes of them.

    Views should change what does not matter and keep what does. If you cannot tell that two views show the same sample,
    the network cannot learn it either.

    Parameters
    ----------
    originals : list of Drawing
        One per sample.
    views : list of list of Drawing
        One list per view, with one drawing per sample.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes that contain the grid.
    axes_ : ndarray of matplotlib Axes
        The grid, with one sample per column, or per row if samples are wider than high.

    See Also
    --------
    skclr.ContrastiveEmbedder.make_views : the views as arrays.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.plotting import ViewsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> len(ViewsDisplay.from_estimator(embedder, X).views)
    2
    """

    def __init__(self, originals: list[Drawing], views: list[list[Drawing]]) -> None:
        self.originals = originals
        self.views = views

    @classmethod
    def from_estimator(
        cls, embedder: Any, X: Any, *, rows: Any = None, n_samples: int = 6, random_state: Any = 0, ax: Any = None
    ) -> Self:
        """Draw the views of some rows of X.

        Parameters
        ----------
        embedder : ContrastiveEmbedder
            Fitted.
        X : array or DataFrame of n samples
            As for `fit`.
        rows : array of int, default=None
            Row numbers in X; None draws `n_samples` at random.
        n_samples : int, default=6
            Number of samples.
        random_state : int, default=0
            Seed of rows and views.
        ax : matplotlib Axes, default=None
            The axes to replace by the grid; None creates a figure.

        Returns
        -------
        The display.
        """
        X = rows_of(embedder, X)
        chosen = some_rows(X, n_samples, random_state) if rows is None else np.asarray(rows)
        return cls(*some_views(embedder, X, chosen, random_state)).plot(ax)

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
        columns = [self.originals, *self.views]
        titles = ["original", *(f"view {i}" for i in range(1, len(columns)))]
        wide = self.originals[0].wide
        shape = (len(self.originals), len(columns)) if wide else (len(columns), len(self.originals))
        self.ax_, self.axes_ = grid_of_axes(ax, *shape, self.originals[0].cell)
        self.figure_ = self.ax_.figure
        for title, drawings, axes in zip(titles, columns, self.axes_.T if wide else self.axes_, strict=True):
            for original, drawing, small in zip(self.originals, drawings, axes, strict=True):
                drawing.draw(small, original=None if drawing is original else original)
            if wide:
                axes[0].set_title(title, fontsize=9)
            else:
                axes[0].set_ylabel(title, fontsize=9)
        return self
