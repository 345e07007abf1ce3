"""Scorers without labels, for `GridSearchCV(scoring=...)`: greater is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skclr import measures
from skclr.embedder import ContrastiveEmbedder
from skclr.model import rows_of
from skclr.training import embed_views


class EmbeddingScorer:
    """Measure the embeddings of X, without the plain features that `passthrough` appends.

    It is called with (estimator, X, y=None), like scikit-learn's scorers; y is not used. The estimator is a fitted
    ContrastiveEmbedder or a Pipeline with one among its steps; later steps do not affect the score.

    Parameters
    ----------
    measure : function from (n, d) embeddings to a number.
    sign : -1 if smaller values of the measure are better.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import EmbeddingScorer, effective_rank
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> EmbeddingScorer(effective_rank)(embedder, X) > 1
    True
    """

    def __init__(self, measure: Callable[..., float], sign: int = 1) -> None:
        self.measure = measure
        self.sign = sign

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Return the score of a fitted estimator."""
        return self.sign * self.measure(*self._embeddings(*_embedder_of(estimator, X)))

    def _embeddings(self, embedder: ContrastiveEmbedder, X: Any) -> list[np.ndarray]:
        return [embed(embedder, rows_of(embedder, X).first.as_given())]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.measure.__name__}, sign={self.sign})"


class ViewsScorer(EmbeddingScorer):
    """Measure the embeddings of two views of X, made as in training, the same in every call.

    Parameters
    ----------
    measure : function from the (n, d) embeddings of both views to a number.
    sign : as for `EmbeddingScorer`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import ViewsScorer, alignment
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> ViewsScorer(alignment, sign=-1)(embedder, X) <= 0
    True
    """

    def _embeddings(self, embedder: ContrastiveEmbedder, X: Any) -> list[np.ndarray]:
        return embed_two_views(embedder, rows_of(embedder, X).spread().as_given())


SCORERS: dict[str, EmbeddingScorer] = {
    "alignment": ViewsScorer(measures.alignment, sign=-1),
    "uniformity": EmbeddingScorer(measures.uniformity, sign=-1),
    "effective_rank": EmbeddingScorer(measures.effective_rank),
    "collapsed_share": EmbeddingScorer(measures.collapsed_share, sign=-1),
    "feature_std": EmbeddingScorer(measures.feature_std),
    "neighbor_overlap": ViewsScorer(measures.neighbor_overlap),
    "info_nce_bound": ViewsScorer(measures.info_nce_bound),
    "view_auc": ViewsScorer(measures.view_auc),
}


def embed(embedder: ContrastiveEmbedder, X: Any) -> np.ndarray:
    """Return the (n, d) embeddings of X, without the plain features."""
    return embedder.model_.embed(embedder.model_.read(X))


def embed_two_views(embedder: ContrastiveEmbedder, X: Any, random_state: Any = 0) -> list[np.ndarray]:
    """Return the (n, d) embeddings of the first two views of X."""
    views = embedder.make_views(X, random_state)[:2]
    return embed_views(embedder.encoder_, views, embedder.device_)


def _embedder_of(estimator: Any, X: Any) -> tuple[ContrastiveEmbedder, Any]:
    """Return the embedder that is measured, and X as transformed by the steps before it."""
    if isinstance(estimator, ContrastiveEmbedder):
        return estimator, X
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else []
    places = [place for place, step in enumerate(steps) if isinstance(step, ContrastiveEmbedder)]
    if not places:
        raise TypeError(
            f"the scorer was called with a {type(estimator).__name__}. Pass a fitted ContrastiveEmbedder, or a "
            "Pipeline with one among its steps."
        )
    # A Pipeline without steps cannot transform.
    return steps[places[-1]], estimator[: places[-1]].transform(X) if places[-1] else X
