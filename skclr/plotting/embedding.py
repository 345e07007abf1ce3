"""Plots of the embedding in two dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skclr.data import Rows
from skclr.embedder import features_of
from skclr.evaluation import embed
from skclr.measures import embedding_rows
from skclr.optional import import_optional
from skclr.plotting.base import COLORS, GREY, PALE, one_axes, remove_ticks
from skclr.plotting.labels import UNLABELLED_NAME, label_name, read_labels
from skclr.plotting.samples import shortened, some_rows


class EmbeddingDisplay:
    """A map of the embedding, coloured by labels or numbers.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Positions on the map.
    labels : array of shape (n,), default=None
        Classes, or numbers if there are fractions and more than ten values. Rows with -1 or a missing value are
        unlabelled and grey.
    name : str, default="embedding"
        Title of the map.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    scatters_ : list of matplotlib PathCollection
        One per class, in the order of the legend, and one for unlabelled rows.

    Notes
    -----
    PCA preserves distances as well as two dimensions can. t-SNE and UMAP preserve neighbours; the size of a cluster and
    its distance from others have no meaning.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.plotting import EmbeddingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> EmbeddingDisplay.from_estimator(embedder, X, y, method="pca").points.shape
    (150, 2)
    """

    def __init__(self, points: np.ndarray, labels: Any = None, name: str = "embedding") -> None:
        self.points = points
        self.labels = labels
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        embedder: Any,
        X: Any,
        y: Any = None,
        *,
        method: str = "pca",
        max_points: int = 20_000,
        random_state: Any = 0,
        ax: Any = None,
        **scatter: Any,
    ) -> Self:
        """Embed X and draw its map.

        Parameters
        ----------
        embedder : transformer
            Fitted.
        X : array or DataFrame of n samples
            As for `transform`.
        y : array of shape (n,), default=None
            Labels or numbers to colour by.
        method : {"pca", "tsne", "umap"}, default="pca"
            How the embedding is reduced to two dimensions; "umap" needs umap-learn.
        max_points : int, default=20,000
            If X has more rows, this many are drawn at random.
        random_state : int, default=0
            Seed of the draw and of the method.
        ax : matplotlib Axes, default=None
            None creates a figure.
        **scatter
            Keyword arguments for `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        The display.
        """
        X = Rows.of(X)
        rows = some_rows(X, max_points, random_state)
        embedding = dense_features(embedder, X[rows].single())
        labels = None if y is None else read_labels(y, len(X))[rows]
        return cls.from_embedding(embedding, labels, method=method, random_state=random_state, ax=ax, **scatter)

    @classmethod
    def from_embedding(
        cls,
        embedding: np.ndarray,
        y: Any = None,
        *,
        method: str = "pca",
        random_state: Any = 0,
        ax: Any = None,
        **scatter: Any,
    ) -> Self:
        """Draw the map of a given embedding (n, d); parameters as in `from_estimator`."""
        points = project(embedding, method, random_state)
        return cls(points, y, f"embedding ({TITLES[method]})").plot(ax, **scatter)

    def plot(self, ax: Any = None, **scatter: Any) -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.
        **scatter
            Keyword arguments for `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        The display.
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        style = {"s": float(np.clip(20_000 / len(self.points), 2, 20)), "linewidths": 0, "alpha": 0.8, **scatter}
        labels = None if self.labels is None else read_labels(self.labels, len(self.points))
        if labels is None:
            self.scatters_ = [self.ax_.scatter(*self.points.T, color=COLORS[0], **style)]
        elif labels.dtype.kind == "f":
            self.scatters_ = [self.ax_.scatter(*self.points.T, c=labels, cmap="cividis", **style)]
            self.figure_.colorbar(self.scatters_[0], ax=self.ax_)
        else:
            self.scatters_ = [
                # Unlabelled rows are drawn first, so that they do not cover the labelled ones.
                self.ax_.scatter(
                    *self.points[rows].T,
                    color=color,
                    label=shortened(name, 24),
                    **{"zorder": 0.5 if name == UNLABELLED_NAME else 1, **style},
                )
                for name, color, rows in classes(labels)
            ]
            self.ax_.legend(
                loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=6 / style["s"] ** 0.5
            )
        self.ax_.set_title(self.name)
        remove_ticks(self.ax_)
        return self


def dense_features(embedder: Any, X: Any) -> np.ndarray:
    """Return what `transform` returns for X, or the embedding alone if that is sparse."""
    features = features_of(embedder, X)
    return features if isinstance(features, np.ndarray) else embed(embedder, X)


# -- two dimensions -------------------------------------------------------------------------------


def _tsne(embedding: np.ndarray, random_state: Any) -> np.ndarray:
    # As in the paper: distances in fifty dimensions are close to those in all, and faster to compute.
    points = PCA(min(50, *embedding.shape), random_state=random_state).fit_transform(embedding)
    perplexity = min(30.0, (len(points) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=random_state).fit_transform(points)


def _umap(embedding: np.ndarray, random_state: Any) -> np.ndarray:
    umap = import_optional("umap", "umap", "method='umap', unlike 'tsne',")
    n_neighbors = min(15, len(embedding) - 1)
    # UMAP runs in one thread if it has a seed, and warns about that unless n_jobs is 1.
    points: np.ndarray = umap.UMAP(n_neighbors=n_neighbors, random_state=random_state, n_jobs=1).fit_transform(
        embedding
    )
    return points


def _pca(embedding: np.ndarray, random_state: Any) -> np.ndarray:
    return PCA(2, random_state=random_state).fit_transform(embedding)


PROJECTIONS: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = {"pca": _pca, "tsne": _tsne, "umap": _umap}
TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def project(embedding: np.ndarray, method: str, random_state: Any) -> np.ndarray:
    """Return an embedding (n, d) reduced to (n, 2).

    Raises
    ------
    TypeError : if the embedding is sparse.
    ValueError : if the method is unknown, or the embedding is not (n, d) for two samples or more.
    ImportError : if the method is "umap" and umap-learn is not installed.
    """
    if method not in PROJECTIONS:
        raise ValueError(f"method={method!r} is unknown. Pass one of {', '.join(map(repr, PROJECTIONS))}.")
    with config_context(transform_output="default"):
        return PROJECTIONS[method](embedding_rows(embedding).astype(np.float32, copy=False), random_state)


# -- colours --------------------------------------------------------------------------------------


def is_scale(labels: Any) -> bool:
    """Return whether labels are numbers instead of classes: floats with more than ten values."""
    values = np.asarray(labels)
    return values.dtype.kind == "f" and len(np.unique(values[~np.isnan(values)])) > len(COLORS)


def classes(labels: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Return name, colour and rows of each class; grey for the smallest classes beyond ten and unlabelled rows.

    Parameters
    ----------
    labels : as returned by `read_labels`.
    """
    names = np.array([label_name(label) for label in labels], dtype=object)
    without = np.array([label is None for label in labels], dtype=bool)
    counts = Counter(names[~without])
    largest = [name for name, _ in counts.most_common(len(COLORS))]
    shown = [
        (name, color, np.flatnonzero((names == name) & ~without))
        for name, color in zip(sorted(largest, key=numeric_first), COLORS, strict=False)
    ]
    if len(counts) > len(largest):
        rest = np.flatnonzero(~np.isin(names, largest) & ~without)
        shown.append((f"{len(counts) - len(largest)} others", GREY, rest))
    if without.any():
        shown.append((UNLABELLED_NAME, PALE, np.flatnonzero(without)))
    return shown


def numeric_first(name: str) -> tuple[bool, float, str]:
    """Return a sort key that orders numbers by value, before other names."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
