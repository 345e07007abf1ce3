"""What `compare` compares: ways to use a fold's training rows, before and after some of their labels are known."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skclr.embedder import ContrastiveEmbedder
from skclr.evaluation.probes import fine_tune_probe, linear_probe, untrained
from skclr.frameworks import FRAMEWORKS
from skclr.modalities import take_rows, views_in
from skclr.views import is_paired

BASELINES = ("raw features", "PCA", "untrained encoder", "supervised network", "UMAP")
# Dimensions of PCA and UMAP, fewer where the data have fewer.
_N_COMPONENTS = {"PCA": 64, "UMAP": 16}


class Candidate(BaseEstimator, ABC):
    """A way to use the unlabelled training rows of a fold, scored with a few labels of them."""

    @abstractmethod
    def fit(self, X_train: Any, X_test: Any) -> Self:
        """Learn from the training rows; set fit_seconds_ and rows_per_second_, of `transform`."""

    @abstractmethod
    def score(self, rows: np.ndarray, y: np.ndarray, y_test: np.ndarray, scoring: Any) -> float:
        """Learn from the training rows at `rows`, whose classes are y, and score the test rows."""


class Frozen(Candidate):
    """A linear probe on the features of a transformer that saw no labels, standardised or not."""

    def __init__(self, transformer: Any, standardize: bool = False) -> None:
        self.transformer = transformer
        self.standardize = standardize

    def fit(self, X_train: Any, X_test: Any) -> Self:
        start = time.perf_counter()
        transformer = clone(self.transformer).fit(X_train)
        middle = time.perf_counter()
        self.train_, self.test_ = (transformer.transform(views_in(X, paired=False)[0]) for X in (X_train, X_test))
        self.fit_seconds_ = middle - start
        self.rows_per_second_ = (len(self.train_) + len(self.test_)) / (time.perf_counter() - middle)
        return self

    def score(self, rows: np.ndarray, y: np.ndarray, y_test: np.ndarray, scoring: Any) -> float:
        features = self.train_[rows], y, self.test_, y_test
        score: float = linear_probe(*features, scoring=scoring, standardize=self.standardize)
        return score


class SupervisedNetwork(Candidate):
    """The network of an embedder, trained on nothing but the labelled rows."""

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder

    def fit(self, X_train: Any, X_test: Any) -> Self:
        self.X_train_, self.X_test_ = X_train, X_test
        before = clone(self.embedder).set_params(max_epochs=0, checkpoint_dir=None).fit(X_train)
        start = time.perf_counter()
        n_rows = len(before.transform(X_test))
        self.rows_per_second_ = n_rows / (time.perf_counter() - start)
        # Columns are read as all rows have them.
        self.untrained_ = before
        self.seconds_: list[float] = []
        return self

    def score(self, rows: np.ndarray, y: np.ndarray, y_test: np.ndarray, scoring: Any) -> float:
        start = time.perf_counter()
        known = take_rows(self.X_train_, rows)
        score: float = fine_tune_probe(self.untrained_, known, y, self.X_test_, y_test, scoring=scoring)
        self.seconds_.append(time.perf_counter() - start)
        return score

    @property
    def fit_seconds_(self) -> float:
        """Of one training, its test included."""
        return float(np.mean(self.seconds_))


class RawFeatures(TransformerMixin, BaseEstimator):
    """The plain features of X, as the embedder's modality reads them."""

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder

    def fit(self, X: Any, y: Any = None) -> Self:
        self.reader_ = untrained(self.embedder, passthrough=True).fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self.reader_.transform(X)[:, self.reader_.encoder_.out_features :]


class Reduced(TransformerMixin, BaseEstimator):
    """A reducer with as many components as the features allow, or `most`."""

    def __init__(self, reducer: Any, most: int) -> None:
        self.reducer = reducer
        self.most = most

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        self.reducer_ = clone(self.reducer).set_params(n_components=min(self.most, *X.shape)).fit(X)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self.reducer_.transform(X)


# -- by name ----------------------------------------------------------------------------------------


def named_embedders(embedders: Any, params: Mapping[str, Any]) -> dict[str, ContrastiveEmbedder]:
    """Give the embedders that `compare` was asked for, by name."""
    if isinstance(embedders, Mapping):
        if params:
            raise ValueError("embedder_params came with a dictionary of embedders: set them on the embedders")
        chosen = dict(embedders)
    else:
        names = FRAMEWORKS if isinstance(embedders, str) and embedders == "all" else embedders
        chosen = {name: ContrastiveEmbedder(name, **params) for name in names}
    if not chosen:
        raise ValueError(f"embedders={embedders!r}: give one or more, or 'all'")
    return chosen


def named_baselines(baselines: Any, embedder: ContrastiveEmbedder) -> dict[str, Candidate]:
    """Give the baselines that `compare` was asked for, by name; the network is the embedder's."""
    if isinstance(baselines, Mapping) and baselines:
        return {name: Frozen(transformer) for name, transformer in baselines.items()}
    if isinstance(baselines, str) and baselines == "auto":
        baselines = [name for name in BASELINES if name != "UMAP" or find_spec("umap")]
    if not baselines:
        raise ValueError(f"baselines={baselines!r}: give one or more, or 'auto'")
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown:
        raise ValueError(f"baselines has {unknown[0]!r}: known are {', '.join(map(repr, BASELINES))}")
    return {name: _baseline(name, embedder) for name in baselines}


def _baseline(name: str, embedder: ContrastiveEmbedder) -> Candidate:
    raw = RawFeatures(embedder)
    if name == "supervised network":
        return SupervisedNetwork(_of_single_samples(embedder))
    if name == "untrained encoder":
        return Frozen(untrained(embedder), standardize=True)
    if name == "raw features":
        return Frozen(raw)
    return Frozen(make_pipeline(raw, Reduced(_reducer(name), _N_COMPONENTS[name])))


def _of_single_samples(embedder: ContrastiveEmbedder) -> ContrastiveEmbedder:
    """Copy an embedder; where it takes its views from X, the copy makes the modality's own."""
    own = {"views": "auto", "views_params": None} if is_paired(embedder.views) else {}
    return clone(embedder).set_params(**own)


def _reducer(name: str) -> Any:
    if name == "PCA":
        return PCA(random_state=0)
    with warnings.catch_warnings():
        # It tells of TensorFlow, which only its other half needs.
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP
    return UMAP(random_state=0, n_jobs=1)
