"""Candidates of a comparison: an embedding, and the baselines that it must beat."""

from __future__ import annotations

import copy
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skclr.data import Rows
from skclr.embedder import ContrastiveEmbedder, features_of
from skclr.evaluation.judges import Judge
from skclr.fine_tuning import train_supervised, tune
from skclr.frameworks import FRAMEWORKS
from skclr.model import Model, Reading
from skclr.optional import import_optional
from skclr.part_choices import network_parameters, shows_given
from skclr.planning import choose_device

# Names of what `transform` returns among its baselines, and of its two parts where it has plain features.
EMBEDDING, BOTH = "embedding", "embedding + plain features"
ALONE, PLAIN = "embedding alone", "plain features"
# Dimensions of PCA and UMAP, fewer if the data have fewer.
_PCA_COMPONENTS, _UMAP_COMPONENTS = 64, 16


class Costs(NamedTuple):
    """Seconds of one training, and rows per second of `transform`."""

    fit_seconds: float
    rows_per_second: float


class Candidate(BaseEstimator, ABC):
    """Base class of candidates, which learn from rows without labels and are judged with some of their labels."""

    @abstractmethod
    def fit(self, X: Rows) -> Self:
        """Learn from rows of X without labels."""

    @abstractmethod
    def read(self, X: Rows) -> Any:
        """Return the input of the judge for each row of X, for example its features."""

    def score(self, train: Any, y_train: np.ndarray, test: Any, y_test: np.ndarray, *, judge: Judge) -> Any:
        """Learn labels from training rows that `read` returned, and score test rows."""
        return judge(train, y_train, test, y_test)

    def costs(self, measured: Costs) -> Costs:
        """Return the costs, given those of `fit` and `read`."""
        return measured

    def parts(self) -> dict[str, Candidate]:
        """Return the parts of the features as fitted candidates of their own, by name."""
        return {}


class Features(Candidate):
    """The features of a transformer."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: Rows) -> Self:
        self.transformer_: Any = clone(self.transformer).fit(X.as_given())
        return self

    def read(self, X: Rows) -> Any:
        return self.transformer_.transform(X.first.single())


class Embedding(Features):
    """The features of an embedder, whose parts are the plain features and the embedding alone."""

    def read(self, X: Rows) -> Any:
        return features_of(self.transformer_, X.first.single())

    def parts(self) -> dict[str, Candidate]:
        model: Model = self.transformer_.model_
        if not model.n_plain:
            return {}
        return {
            PLAIN: PartOfEmbedding(model, Model.features),
            ALONE: PartOfEmbedding(model, Model.embed),
        }


class FittedEmbedding(Embedding):
    """The features of an embedder that is already fitted; it is not fitted again."""

    @property
    def transformer_(self) -> Any:
        return self.transformer

    def fit(self, X: Rows) -> Self:
        return self


class PartOfEmbedding(Candidate):
    """Some of the features of a model, computed by a method that takes what `read` returns."""

    def __init__(self, model: Model, method: Callable[[Model, Any], np.ndarray]) -> None:
        self.model = model
        self.method = method

    def fit(self, X: Rows) -> Self:
        return self

    def read(self, X: Rows) -> Any:
        return self.method(self.model, self.model.read(X.first.single()))


class SupervisedNetwork(Candidate):
    """The network of an embedder, trained on the labelled rows only, with its own classifier."""

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder

    def fit(self, X: Rows) -> Self:
        # The columns of all rows are read, not only those of the labelled ones.
        self.untrained_ = clone(self.embedder).set_params(max_epochs=0, checkpoint_dir=None).fit(X.as_given())
        self.costs_: list[Costs] = []
        return self

    def read(self, X: Rows) -> Any:
        return X.as_given()

    def score(self, train: Any, y_train: np.ndarray, test: Any, y_test: np.ndarray, *, judge: Judge) -> Any:
        start = time.perf_counter()
        classes, codes = np.unique(y_train, return_inverse=True)
        network, head = train_supervised(self.untrained_.model_, train, codes)
        head.classes_ = classes
        trained = time.perf_counter()
        features = network.transform(test)
        self.costs_.append(Costs(trained - start, len(features) / (time.perf_counter() - trained)))
        return judge.score(head, features, y_test)

    def costs(self, measured: Costs) -> Costs:
        return Costs(*np.mean(self.costs_, axis=0).tolist())


def fine_tuned(embedder: ContrastiveEmbedder, X: Any, y: np.ndarray) -> tuple[Model, Any]:
    """Return a model fine-tuned on labelled rows, and its head as a classifier of their labels."""
    classes, codes = np.unique(y, return_inverse=True)
    tuned, head = tune(embedder.model_, X, codes)
    head.classes_ = classes
    return tuned, head


# -- transformers without training ------------------------------------------------------------------


def untrained(embedder: ContrastiveEmbedder, **params: Any) -> ContrastiveEmbedder:
    """Return an embedder of the same structure that `fit` leaves untrained, for single samples without labels.

    The structure is that of the last fit, even if parameters were set after it. Training parameters have their
    defaults.
    """
    is_fitted = embedder.__sklearn_is_fitted__()
    fresh = _of_same_structure(embedder) if is_fitted else clone(embedder)
    unused = {"views": "auto", "views_params": None, "positives": "views", "checkpoint_dir": None}
    return fresh.set_params(max_epochs=0, **unused, **params).set_output(transform="default")


def _of_same_structure(embedder: ContrastiveEmbedder) -> ContrastiveEmbedder:
    model = embedder.model_
    return type(embedder)(
        **network_parameters(model.plan),
        modality=model.modality.kind,
        modality_params=model.modality.base_modality.settings(),
        # A copy, so that the user's generator does not advance.
        random_state=copy.deepcopy(model.parameters["random_state"]),
        device=embedder.device,
    )


class RawFeatures(TransformerMixin, BaseEstimator):
    """The values of X, as read by the modality of an embedder; no network is built."""

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder

    def fit(self, X: Any, y: Any = None) -> Self:
        parameters = untrained(self.embedder).get_params(deep=False)
        self.device_ = choose_device(parameters["device"])
        reading, _ = Reading.of(Rows.of(X), parameters)
        self.reading_ = replace(reading, modality=reading.modality.base_modality.raw())
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self.reading_.features(self.reading_.samples(X, self.device_))


class Reduced(TransformerMixin, BaseEstimator):
    """A reducer with up to `most_components` components, limited by the shape of the features."""

    def __init__(self, reducer: Any, most_components: int) -> None:
        self.reducer = reducer
        self.most_components = most_components

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        # Solvers for sparse features find fewer components than there are rows.
        n_components = min(self.most_components, *X.shape) - issparse(X)
        self.reducer_ = clone(self.reducer).set_params(n_components=n_components).fit(X)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self.reducer_.transform(X)


def _pca() -> PCA:
    return PCA(random_state=0).set_output(transform="default")


def _umap() -> Any:
    with warnings.catch_warnings():
        # umap warns about TensorFlow, which only parametric UMAP needs.
        warnings.simplefilter("ignore", ImportWarning)
        umap = import_optional("umap", "umap", "the baseline UMAP")
    return umap.UMAP(random_state=0, n_jobs=1)


def _of_single_samples(embedder: ContrastiveEmbedder) -> ContrastiveEmbedder:
    """Return a copy of an embedder, with the default views if it takes views from X."""
    defaults = {"views": "auto", "views_params": None} if shows_given(embedder.views) else {}
    return clone(embedder).set_params(**defaults)


# -- by name ----------------------------------------------------------------------------------------

# Candidates are cloned before they are fitted, which drops a fit: `untrained` keeps the structure and reading of X.
BASELINES: dict[str, Callable[[ContrastiveEmbedder], Candidate]] = {
    "raw features": lambda embedder: Features(RawFeatures(untrained(embedder))),
    "PCA": lambda embedder: Features(make_pipeline(RawFeatures(untrained(embedder)), Reduced(_pca(), _PCA_COMPONENTS))),
    "untrained encoder": lambda embedder: Features(untrained(embedder)),
    "supervised network": lambda embedder: SupervisedNetwork(_of_single_samples(embedder)),
    "UMAP": lambda embedder: Features(
        make_pipeline(RawFeatures(untrained(embedder)), Reduced(_umap(), _UMAP_COMPONENTS))
    ),
}
# Baselines without training and labels, which are shown with every embedding.
UNTRAINED_BASELINES = ("raw features", "PCA", "untrained encoder")


def with_baselines(
    embedder: ContrastiveEmbedder, baselines: Iterable[str] = UNTRAINED_BASELINES
) -> dict[str, Candidate]:
    """Return the baselines of a fitted embedder, the parts of what `transform` returns, then all of it, by name."""
    features = FittedEmbedding(embedder)
    parts = features.parts()
    named = {name: BASELINES[name](embedder) for name in baselines}
    return {**named, **parts, BOTH if parts else EMBEDDING: features}


def own_name(names: Collection[str]) -> str:
    """Return the name of what `transform` returns, among the names of `with_baselines`."""
    return BOTH if BOTH in names else EMBEDDING


def baseline_names(names: Iterable[str]) -> list[str]:
    """Return the names of `with_baselines` that need no trained network."""
    return [name for name in names if name not in (EMBEDDING, ALONE, BOTH)]


def named_embedders(embedders: Any, params: Mapping[str, Any]) -> dict[str, ContrastiveEmbedder]:
    """Return the embedders of a call of `compare`, by name."""
    if isinstance(embedders, Mapping):
        if params:
            raise ValueError(
                "embedder_params cannot be used with a dictionary of embedders. Set them on the embedders."
            )
        chosen = dict(embedders)
    else:
        names = FRAMEWORKS if isinstance(embedders, str) and embedders == "all" else embedders
        chosen = {name: ContrastiveEmbedder(name, **params) for name in names}
    if not chosen:
        raise ValueError(f"embedders={embedders!r}: pass one or more, or 'all'")
    return chosen


def named_baselines(baselines: Any, embedder: ContrastiveEmbedder) -> dict[str, Candidate]:
    """Return the baselines of a call of `compare`, by name; the network is the embedder's."""
    if isinstance(baselines, Mapping) and baselines:
        return {name: Features(transformer) for name, transformer in baselines.items()}
    if isinstance(baselines, str) and baselines == "auto":
        baselines = [name for name in BASELINES if name != "UMAP"]
    if not baselines:
        raise ValueError(f"baselines={baselines!r}: pass one or more, or 'auto'")
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown:
        raise ValueError(
            f"baselines has {unknown[0]!r}, which is unknown. Pass any of {', '.join(map(repr, BASELINES))}."
        )
    return {name: BASELINES[name](embedder) for name in baselines}
