"""Probes: what a classifier makes of frozen features, or of an encoder that it may train further."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skclr.data import Labels, check_length, encode_labels, encode_together
from skclr.embedder import ContrastiveEmbedder
from skclr.evaluation.statistics import confidence_interval
from skclr.modalities import n_rows, take_rows
from skclr.randomness import derive_seeds
from skclr.semi_supervised import fine_tune
from skclr.wording import counted

Features = tuple[np.ndarray, np.ndarray]
Record = dict[str, Any]


def linear_probe(
    train: np.ndarray,
    y_train: Any,
    test: np.ndarray,
    y_test: Any,
    *,
    scoring: Any = "accuracy",
    penalties: Sequence[float] = (1.0,),
    standardize: bool = True,
) -> Any:
    """Score a logistic regression on features.

    Parameters
    ----------
    train, test : (n, d) and (m, d) features.
    y_train, y_test : (n,) and (m,) classes, in any container; unlabelled rows (-1 or missing) are left out.
    scoring : name of a scikit-learn scorer, callable, or list of names.
    penalties : values of C; of several, the one that is most accurate on a fifth of the training rows, or the first
        where a class has too few rows to hold one out.
    standardize : whether each feature is brought to one scale, which suits embeddings; else all of them are by one
        factor, which leaves to pixels and principal components that some vary more than others.

    Returns
    -------
    The score; for a list of names a dictionary.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import linear_probe
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X[::2])
    >>> Z = embedder.transform(X)
    >>> linear_probe(Z[::2], y[::2], Z[1::2], y[1::2]) > 0.8
    True
    """
    train, y_train, test, y_test = _labelled(train, y_train, test, y_test)
    scaler = StandardScaler(with_std=standardize).fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    if not standardize:
        scale = train.std() or 1.0
        train, test = train / scale, test / scale
    best = penalties[0] if len(penalties) == 1 else _choose_penalty(train, y_train, penalties)
    return _score(_regression(best).fit(train, y_train), test, y_test, scoring)


def knn_probe(
    train: np.ndarray,
    y_train: Any,
    test: np.ndarray,
    y_test: Any,
    *,
    scoring: Any = "accuracy",
    n_neighbors: int = 200,
    temperature: float = 0.1,
) -> Any:
    """Score a vote of the nearest training rows by cosine, each with weight exp(cosine / temperature).

    Parameters
    ----------
    train, y_train, test, y_test, scoring : as for `linear_probe`.
    n_neighbors : rows that vote, all if there are fewer.
    temperature : of the weights, above 0; Wu et al. take 0.07.

    Returns
    -------
    As `linear_probe`.

    Raises
    ------
    ValueError : for a temperature that is not above 0.

    References
    ----------
    Wu et al. 2018, sec. 3.4. Differs: none.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import knn_probe
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X[::2])
    >>> Z = embedder.transform(X)
    >>> knn_probe(Z[::2], y[::2], Z[1::2], y[1::2], n_neighbors=20) > 0.8
    True
    """
    if not (isinstance(temperature, Real) and 0 < temperature < np.inf):
        raise ValueError(f"temperature={temperature!r}: use a number above 0")
    train, y_train, test, y_test = _labelled(train, y_train, test, y_test)
    weights = partial(_vote, temperature=temperature)
    voters = KNeighborsClassifier(min(n_neighbors, len(train)), metric="cosine", weights=weights)
    return _score(voters.fit(train, y_train), test, y_test, scoring)


def fine_tune_probe(
    embedder: ContrastiveEmbedder, X_train: Any, y_train: Any, X_test: Any, y_test: Any, *, scoring: Any = "accuracy"
) -> Any:
    """Score the encoder after it was trained further, under a linear head, on labelled samples.

    Parameters
    ----------
    embedder : fitted, trained or not; left as it is.
    X_train, X_test : samples, as its `transform` takes them.
    y_train, y_test, scoring : as for `linear_probe`.

    Returns
    -------
    As `linear_probe`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import fine_tune_probe
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X[::2])
    >>> fine_tune_probe(embedder, X[::2], y[::2], X[1::2], y[1::2]) > 0.6
    True
    """
    X_train, y_train, X_test, y_test = _labelled(X_train, y_train, X_test, y_test)
    classes, codes = np.unique(y_train, return_inverse=True)
    tuned, head = fine_tune(embedder, X_train, codes)
    head.classes_ = classes
    return _score(head, tuned.transform(X_test), y_test, scoring)


def transfer_probe(
    embedder: ContrastiveEmbedder,
    X_train: Any,
    y_train: Any,
    X_test: Any,
    y_test: Any,
    *,
    probe: Any = linear_probe,
    **settings: Any,
) -> Any:
    """Score the encoder on another data set than it was trained on, frozen.

    Parameters
    ----------
    embedder : fitted on the one set; left as it is.
    X_train, y_train, X_test, y_test : samples and classes of the other, whose channels or columns are the same.
    probe : `linear_probe`, `knn_probe`, or a function like them.
    **settings : the probe's own.

    Returns
    -------
    As the probe.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import transfer_probe
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X[y == 0])
    >>> two, classes = X[y > 0], y[y > 0]
    >>> transfer_probe(embedder, two[::2], classes[::2], two[1::2], classes[1::2]) > 0.8
    True
    """
    carried = untrained(embedder, encoder=embedder.encoder_, encoder_params=None).fit(X_train)
    return probe(carried.transform(X_train), y_train, carried.transform(X_test), y_test, **settings)


def beside_baselines(embedder: ContrastiveEmbedder, X_train: Any, X_test: Any) -> dict[str, Features]:
    """Give the features of a fitted embedder beside those that it must beat.

    Parameters
    ----------
    embedder : fitted.
    X_train, X_test : samples, as its `transform` takes them.

    Returns
    -------
    Train and test features of "raw features", as the modality reads them, of the "untrained encoder" and of the
    "embedding", both as `transform` gives them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import beside_baselines
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X[::2])
    >>> rows = beside_baselines(embedder, X[::2], X[1::2])
    >>> {name: test.shape for name, (train, test) in rows.items()}
    {'raw features': (75, 4), 'untrained encoder': (75, 132), 'embedding': (75, 132)}
    """
    before = untrained(embedder, passthrough=True).fit(X_train)
    width = before.encoder_.out_features
    both = before.transform(X_train), before.transform(X_test)
    learned = embedder.transform(X_train), embedder.transform(X_test)
    # With `passthrough` the trained encoder has the raw features beside it, so the untrained one has too.
    n_shown = learned[0].shape[1]
    return {
        "raw features": (both[0][:, width:], both[1][:, width:]),
        "untrained encoder": (both[0][:, :n_shown], both[1][:, :n_shown]),
        "embedding": learned,
    }


def untrained(embedder: ContrastiveEmbedder, **params: Any) -> ContrastiveEmbedder:
    """Return an embedder of the same structure that `fit` leaves untrained; it takes single samples, without labels.

    The structure is that of the fit, whatever was set after it. What says how to train is left at its default.
    """
    is_fitted = embedder.__sklearn_is_fitted__()
    fresh = type(embedder)(**embedder._structure()) if is_fitted else clone(embedder)
    unused = {"views": "auto", "views_params": None, "positives": "views", "checkpoint_dir": None}
    return fresh.set_params(max_epochs=0, **unused, **params)


def label_efficiency(
    features: Mapping[str, Features | Iterable[Features]],
    y_train: Any,
    y_test: Any,
    labels_per_class: Sequence[int | str] = (1, 5, 10, 50, "all"),
    *,
    n_draws: int = 10,
    probe: Any = linear_probe,
    random_state: int = 0,
    **settings: Any,
) -> list[Record]:
    """Score features by the number of labels, the same draws of labels for all of them.

    Parameters
    ----------
    features : by name, train and test features, or several such pairs, one per seed; `beside_baselines` gives them.
    y_train, y_test : (n,) and (m,) classes, as for `linear_probe`.
    labels_per_class : numbers of labels a class, and "all".
    n_draws : draws of labels for each number; "all" is one.
    probe : `linear_probe`, `knn_probe`, or a function like them that gives one number.
    random_state : seed of the draws.
    **settings : the probe's own.

    Returns
    -------
    Records with the keys features, labels_per_class, mean, low, high (a 95 % interval over draws and seeds; NaN for
    one score) and scores, as `pandas.DataFrame` takes them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr.evaluation import label_efficiency
    >>> X, y = load_iris(return_X_y=True)
    >>> records = label_efficiency({"raw": (X[::2], X[1::2])}, y[::2], y[1::2], labels_per_class=(5, "all"), n_draws=3)
    >>> [(record["labels_per_class"], len(record["scores"])) for record in records]
    [(5, 3), ('all', 1)]
    """
    learned, asked = encode_together(y_train=y_train, y_test=y_test)
    held, y_held = asked.labelled, asked.values(asked.labelled)
    records = []
    for name, given in features.items():
        pairs = [given] if isinstance(given, tuple) else list(given)
        for train, test in pairs:
            check_length("y_train", learned.codes, n_rows(train))
            check_length("y_test", asked.codes, n_rows(test))
        for n_labels in labels_per_class:
            draws = drawn(learned, n_labels, n_draws, random_state)
            scores = [
                probe(take_rows(train, rows), learned.values(rows), take_rows(test, held), y_held, **settings)
                for train, test in pairs
                for rows in draws
            ]
            records.append({"features": name, "labels_per_class": n_labels, **summarize(scores)})
    return records


def draw_labels(y: Any, n_labels: int | str, n_draws: int, random_state: int = 0) -> list[np.ndarray]:
    """Draw the rows whose labels are known.

    Parameters
    ----------
    y : (n,) classes, in any container; rows with -1 or a missing value are unlabelled and never drawn.
    n_labels : rows of each class, all where it has fewer; "all" takes every labelled row, once.
    n_draws : number of draws.
    random_state : seed.

    Returns
    -------
    Row numbers of each draw.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import draw_labels
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> [y[rows].tolist() for rows in draw_labels(y, 2, n_draws=3)]
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    return drawn(encode_labels(y), n_labels, n_draws, random_state)


def drawn(labels: Labels, n_labels: int | str, n_draws: int, random_state: int) -> list[np.ndarray]:
    """Draw as `draw_labels` does, from labels that are encoded.

    Raises
    ------
    ValueError : for `n_labels` that is neither "all" nor a whole number of 1 or more.
    """
    check_n_labels(n_labels)
    if n_labels == "all":
        return [labels.labelled]
    of_class = [np.flatnonzero(labels.codes == code) for code in np.unique(labels.codes[labels.labelled])]
    generators = map(np.random.default_rng, derive_seeds(n_draws, random_state, int(n_labels)))
    return [
        np.concatenate([rng.choice(rows, min(int(n_labels), len(rows)), replace=False) for rows in of_class])
        for rng in generators
    ]


def check_n_labels(n_labels: Any) -> None:
    """Raise a ValueError for what is no number of labels."""
    is_count = isinstance(n_labels, Integral) and not isinstance(n_labels, bool) and int(n_labels) >= 1
    if not (is_count or (isinstance(n_labels, str) and n_labels == "all")):
        raise ValueError(f"labels_per_class has {n_labels!r}: use 'all' or a whole number of 1 or more")


def summarize(scores: Sequence[float]) -> Record:
    """Give mean, 95 % interval and every score."""
    low, high = confidence_interval(scores)
    return {"mean": float(np.mean(scores)), "low": low, "high": high, "scores": [float(s) for s in scores]}


def _regression(penalty: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, max_iter=1000, tol=1e-3)


def _labelled(train: Any, y_train: Any, test: Any, y_test: Any) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Return the labelled rows of both parts, and their classes.

    Raises
    ------
    ValueError : where the training rows have labels of fewer than two classes, or the test rows none.
    """
    learned, asked = encode_together(y_train=y_train, y_test=y_test)
    for part, X, labels, n_least in (("train", train, learned, 2), ("test", test, asked, 1)):
        check_length(f"y_{part}", labels.codes, n_rows(X))
        n_classes = len(np.unique(labels.codes[labels.labelled]))
        if n_classes < n_least:
            found = counted(n_classes, "class", "classes")
            raise ValueError(f"y_{part} has labels of {found}: a probe needs {n_least} or more")
    return *_known(train, learned), *_known(test, asked)


def _known(X: Any, labels: Labels) -> tuple[Any, np.ndarray]:
    rows = labels.labelled
    return X if len(rows) == len(labels.codes) else take_rows(X, rows), labels.values(rows)


def _choose_penalty(train: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> float:
    counts = np.unique(y, return_counts=True)[1]
    n_held = max(math.ceil(len(y) / 5), len(counts))
    if counts.min() < 2 or len(y) - n_held < len(counts):
        return penalties[0]
    fit, held, y_fit, y_held = train_test_split(train, y, test_size=n_held, random_state=0, stratify=y)
    return max(penalties, key=lambda penalty: _regression(penalty).fit(fit, y_fit).score(held, y_held))


def _vote(distances: np.ndarray, temperature: float) -> np.ndarray:
    # Relative to the nearest row's weight, or exp would overflow at low temperatures.
    return np.exp((distances.min(axis=1, keepdims=True) - distances) / temperature)


def _score(classifier: Any, test: np.ndarray, y_test: np.ndarray, scoring: Any) -> Any:
    return check_scoring(classifier, scoring)(classifier, test, y_test)
