"""The panel's rows: baselines that a user could try instead, and embedders by configuration."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from _panel_data import KINDS, Set, draws
from _panel_kernels import RandomKernels
from scipy.sparse import hstack, issparse
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import OneHotEncoder, StandardScaler, normalize

from skclr import ContrastiveEmbedder
from skclr.views import MarginalCorruption

Features = tuple[Any, Any]

FLAT = ("series", "tables", "images", "audio")
# Parameters of each configuration, by kind; kinds without an entry are not measured. Add a line to try an idea.
CONFIGURATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "untrained encoder": {kind: {"max_epochs": 0} for kind in KINDS},
    "embedding": {kind: {} for kind in KINDS},
    "smoke": {kind: {"max_epochs": 1} for kind in KINDS},
    "tables: 30 neighbours, temperature 1": {
        "tables": {"views_params": {"n_neighbors": 30}, "loss_params": {"temperature": 1.0}},
    },
    "tables: corruption 0.4": {"tables": {"views_params": {"on_top": MarginalCorruption(n_views=1, rate=0.4)}}},
}


class Baseline(NamedTuple):
    """Features that need no labels."""

    kinds: tuple[str, ...]
    features: Callable[[str, Set, int], Features]
    package: str | None = None


# -- features -----------------------------------------------------------------------------------------


def raw(kind: str, given: Set, seed: int = 0) -> Features:
    """Return the values: columns and indicators of a table, pixels, log-mel statistics; missing values become means."""
    if kind == "audio":
        return tuple(embedded(kind, given, {"max_epochs": 0}, seed)["plain features"])
    if kind == "tables":
        numeric = given.X.select_dtypes("number").columns
        # Categories that are rare or new share a column.
        indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2, sparse_output=False)
        encoder = make_column_transformer((SimpleImputer(), numeric), remainder=indicators)
        return encoder.fit_transform(given.X), encoder.transform(given.X_test)
    scale = 255 if kind == "images" else 1
    train, test = (part.reshape(len(part), -1) / scale for part in (given.X, given.X_test))
    imputer = SimpleImputer(keep_empty_features=True).fit(train)
    return imputer.transform(train), imputer.transform(test)


def tfidf(kind: str, given: Set, seed: int) -> Features:
    """Return TF-IDF of words and of characters, side by side."""
    parts = [
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        TfidfVectorizer(sublinear_tf=True, ngram_range=(2, 5), analyzer="char_wb"),
    ]
    train = hstack([part.fit_transform(given.X) for part in parts]).tocsr()
    return train, hstack([part.transform(given.X_test) for part in parts]).tocsr()


def dense(kind: str, given: Set, seed: int) -> Features:
    """Return features with meaningful distances: standardised if units differ, n-grams in 200 dimensions."""
    if kind == "text":
        train, test = tfidf(kind, given, seed)
        svd = TruncatedSVD(min(200, len(given.y) - 1), random_state=seed).fit(train)
        return normalize(svd.transform(train)), normalize(svd.transform(test))
    train, test = raw(kind, given)
    if kind in ("series", "images"):
        return train, test
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def pca(kind: str, given: Set, seed: int) -> Features:
    train, test = dense(kind, given, seed)
    reduced = PCA(min(64, *train.shape), random_state=seed).fit(train)
    return reduced.transform(train), reduced.transform(test)


def rbf(kind: str, given: Set, seed: int) -> Features:
    """Return an RBF map whose scale is the median distance."""
    train, test = dense(kind, given, seed)
    some = train[np.random.default_rng(seed).permutation(len(train))[:500]]
    squared = np.median(pairwise_distances(some)[np.triu_indices(len(some), 1)]) ** 2
    rbf_map = Nystroem(gamma=1 / squared, n_components=min(256, len(train)), random_state=seed).fit(train)
    return rbf_map.transform(train), rbf_map.transform(test)


def kernels(kind: str, given: Set, seed: int) -> Features:
    """Return the features of random kernels, for channels with zero mean and unit variance."""
    mean, deviation = (f(given.X, axis=(0, 2), keepdims=True) for f in (np.nanmean, np.nanstd))
    train, test = (torch.from_numpy((part - mean) / deviation).float() for part in (given.X, given.X_test))
    random_kernels = RandomKernels(random_state=seed).fit(train)
    return random_kernels.transform(train).numpy(), random_kernels.transform(test).numpy()


def minirocket(kind: str, given: Set, seed: int) -> Features:
    """Return aeon's MiniRocket features; it needs at least nine steps and no missing values."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    short = max(0, 9 - given.X.shape[2])
    parts = [np.pad(np.nan_to_num(part), [(0, 0), (0, 0), (0, short)], mode="edge") for part in (given.X, given.X_test)]
    rocket = MiniRocket(random_state=seed).fit(parts[0])
    return np.asarray(rocket.transform(parts[0])), np.asarray(rocket.transform(parts[1]))


BASELINES: dict[str, Baseline] = {
    "raw": Baseline(FLAT, raw),
    "PCA": Baseline(KINDS, pca),
    "RBF map": Baseline(KINDS, rbf),
    "random kernels": Baseline(("series",), kernels),
    "MiniRocket (aeon)": Baseline(("series",), minirocket, package="aeon"),
    "TF-IDF": Baseline(("text",), tfidf),
}


def missing_packages() -> list[str]:
    """Return the names of baselines whose package is not installed."""
    return [name for name, row in BASELINES.items() if row.package and not find_spec(row.package)]


# -- trees, which use no representation ---------------------------------------------------------------

TREE_BUDGETS: tuple[int | str, ...] = (20, "all")
TREES: dict[str, tuple[tuple[str, ...], Callable[[int], Any]]] = {
    "random forest": (KINDS, lambda seed: RandomForestClassifier(random_state=seed)),
    # On pixels, spectra and long series a fit takes minutes, and each set needs eleven.
    "HistGradientBoosting": (("tables",), lambda seed: HistGradientBoostingClassifier(random_state=seed)),
}


def tree_predictions(name: str, kind: str, given: Set) -> dict[str, list[np.ndarray]]:
    """Return the predicted classes of each draw, for the budgets of trees."""
    train, test = dense(kind, given, 0)
    make = TREES[name][1]
    return {
        str(budget): [make(i).fit(train[rows], given.y[rows]).predict(test) for i, rows in enumerate(drawn)]
        for budget in TREE_BUDGETS
        if (drawn := draws(given.y, budget))
    }


# -- embedders ----------------------------------------------------------------------------------------


def embedded(kind: str, given: Set, params: dict[str, Any], seed: int) -> dict[str, list[Any]]:
    """Fit once; return the embedding, the plain features, and both, of training and test rows."""
    embedder = ContrastiveEmbedder(**{**given.params, **params}, passthrough=True, random_state=seed).fit(given.X)
    model = embedder.model_
    both = [embedder.transform(part) for part in (given.X, given.X_test)]
    both = [part.tocsr() if issparse(part) else part for part in both]
    return {
        "": [model.embed(model.read(part)) for part in (given.X, given.X_test)],
        "plain features": [part[:, model.n_learned :] for part in both],
        " + plain features": both,
    }


def configured(name: str, kind: str, given: Set, seed: int) -> dict[str, list[Any]]:
    """Return a configuration's rows: the embedding, with and without plain features; untrained, also these alone."""
    params = CONFIGURATIONS[name][kind]
    rows = embedded(kind, given, params, seed)
    plain = {"plain features": rows["plain features"]} if params.get("max_epochs") == 0 else {}
    return plain | {name: rows[""], f"{name} + plain features": rows[" + plain features"]}
