"""Plots of the similarity of views of the same sample and of different samples."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.preprocessing import normalize

from skclr.evaluation import embed_two_views
from skclr.measures import embedding_rows
from skclr.model import rows_of
from skclr.plotting.base import COLORS, GREY, one_axes
from skclr.plotting.samples import some_rows


class SimilarityDisplay:
    """Cosine similarities of positive pairs (two views of a sample) and negative pairs (views of two samples).

    The two distributions should overlap little. If both are near 1, the embedding has collapsed: all samples have the
    same embedding. If they coincide, the embedding has learned nothing that the views share.

    Parameters
    ----------
    positives : ndarray of shape (n,)
        Cosine similarities of two views of each sample.
    negatives : ndarray of shape (m,)
        Cosine similarities of views of different samples.

    Attributes
    ----------
    auc : float
        Probability that a positive pair is more similar than a negative pair; 0.5 is chance.
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.plotting import SimilarityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> SimilarityDisplay.from_estimator(embedder, X).auc > 0.5
    True
    """

    def __init__(self, positives: np.ndarray, negatives: np.ndarray) -> None:
        self.positives = positives
        self.negatives = negatives

    @classmethod
    def from_estimator(
        cls, embedder: Any, X: Any, *, max_samples: int = 1_000, random_state: Any = 0, ax: Any = None
    ) -> Self:
        """Embed two views of each row of X and draw their similarities.

        Parameters
        ----------
        embedder : ContrastiveEmbedder
            Fitted.
        X : array or DataFrame of n samples
            As for `fit`.
        max_samples : int, default=1,000
            If X has more rows, this many are drawn at random.
        random_state : int, default=0
            Seed of the draw and of the views.
        ax : matplotlib Axes, default=None
            None creates a figure.

        Returns
        -------
        The display.
        """
        X = rows_of(embedder, X)
        rows = X[some_rows(X, max_samples, random_state)]
        return cls.from_embeddings(*embed_two_views(embedder, rows.as_given(), random_state), ax=ax)

    @classmethod
    def from_embeddings(cls, first: np.ndarray, second: np.ndarray, *, ax: Any = None) -> Self:
        """Draw the similarities of the embeddings (n, d) of two views; row i of each is sample i."""
        first, second = (normalize(embedding_rows(z)) for z in (first, second))
        similarities = first @ second.T
        other = ~np.eye(len(similarities), dtype=bool)
        return cls(similarities.diagonal().copy(), similarities[other]).plot(ax)

    @property
    def auc(self) -> float:
        """Probability that a positive pair is more similar than a negative pair."""
        order = np.sort(self.negatives)
        below, up_to = (np.searchsorted(order, self.positives, side) for side in ("left", "right"))
        return float((below + up_to).mean() / 2 / len(order))

    def plot(self, ax: Any = None) -> Self:
        """Draw both histograms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.

        Returns
        -------
        The display.
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        lowest = min(self.positives.min(), self.negatives.min())
        bins = np.linspace(min(math.floor(10 * lowest) / 10, 0.9), 1, 41)
        for name, values, color in (("negatives", self.negatives, GREY), ("positives", self.positives, COLORS[0])):
            share = np.full(len(values), 1 / len(values))
            # Rounding errors may yield a cosine above 1.
            values = values.clip(max=1)
            label = f"{name}, mean {values.mean():.2f}"
            self.ax_.hist(values, bins, weights=share, color=color, alpha=0.7, label=label)
        self.ax_.set(xlabel="cosine similarity", ylabel="share of pairs")
        self.ax_.set_title(f"positive pairs are more similar in {self.auc:.1%} of cases", fontsize=10)
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False)
        return self
