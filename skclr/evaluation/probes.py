"""Probes: scores of classifiers on frozen features, or on a fine-tuned encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from skclr.data import Labels, Rows, check_length, encode_together
from skclr.embedder import ContrastiveEmbedder
from skclr.evaluation.budgets import Budgets
from skclr.evaluation.candidates import BASELINES, EMBEDDING, FittedEmbedding, fine_tuned, untrained
from skclr.evaluation.harness import Record, Scores, efficiency_records, fit_and_read, score_budgets
from skclr.evaluation.judges import Judge, knn_judge, linear_judge
from skclr.logistic import PENALTIES
from skclr.wording import counted

# Features of training and test rows.
Pair = tuple[np.ndarray, np.ndarray]


def linear_probe(
    train: np.ndarray,
    y_train: Any,
    test: np.ndarray,
    y_test: Any,
    *,
    scoring: Any = "accuracy",
    penalties: Sequence[float] = PENALTIES,
    standardize: bool = False,
) -> Any:
    """Return the score of a logistic regression on features.

    By default it is the recommended classifier, which takes the features as they are: C is chosen by cross-validation
    if there are at least 5 labels per class on average, otherwise it is 1.

    Parameters
    ----------
    train, test : (n, d) and (m, d) features.
    y_train, y_test : (n,) and (m,) classes, in any container; unlabelled rows (-1 or missing) are left out.
    scoring : name of a scikit-learn scorer, callable, or list of names.
    penalties : values of C. The most accurate one in a 3-fold cross-validation is used, or the first if there are fewer
        than 5 labels per class on average.
    standardize : whether each feature is divided by its standard deviation; otherwise all are divided by the same
        number, which keeps their relative scales.

    Returns
    -------
    The score; a dictionary for a list of names.

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
    parts = _labelled(train, y_train, test, y_test)
    return linear_judge(scoring, penalties, standardize=standardize)(*parts)


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
    """Return the score of a k-nearest-neighbour vote by cosine similarity, with weights exp(cosine / temperature).

    Parameters
    ----------
    train, y_train, test, y_test, scoring : as for `linear_probe`.
    n_neighbors : number of training rows that vote; all if there are fewer.
    temperature : temperature of the weights, above 0; Wu et al. use 0.07.

    Returns
    -------
    As for `linear_probe`.

    Raises
    ------
    ValueError : if temperature is not above 0.

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
    return knn_judge(scoring, n_neighbors, temperature)(*_labelled(train, y_train, test, y_test))


def fine_tune_probe(
    embedder: ContrastiveEmbedder, X_train: Any, y_train: Any, X_test: Any, y_test: Any, *, scoring: Any = "accuracy"
) -> Any:
    """Return the score of an encoder that is fine-tuned on labelled samples, together with a logistic regression.

    Fine-tuning works as in `SemiSupervisedClassifier` with fine_tune=True, and may leave the encoder as it is.

    Parameters
    ----------
    embedder : fitted embedder, trained or not; it is not changed.
    X_train, X_test : samples, as for `transform`.
    y_train, y_test, scoring : as for `linear_probe`.

    Returns
    -------
    As for `linear_probe`.

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
    tuned, head = fine_tuned(embedder, X_train, y_train)
    return Judge([head], scoring).score(head, tuned.transform(X_test), y_test)


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
    """Return the score of the frozen encoder on another data set than its training data.

    Parameters
    ----------
    embedder : embedder fitted on one data set; it is not changed.
    X_train, y_train, X_test, y_test : samples and classes of the other data set, with the same channels or columns.
    probe : `linear_probe`, `knn_probe`, or a function with the same arguments.
    **settings : further arguments of the probe.

    Returns
    -------
    The score that the probe returns.

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


def beside_baselines(embedder: ContrastiveEmbedder, X_train: Any, X_test: Any) -> dict[str, Pair]:
    """Return the features of a fitted embedder, and those of two baselines that it must beat.

    Parameters
    ----------
    embedder : fitted embedder.
    X_train, X_test : samples, as for `transform`.

    Returns
    -------
    Training and test features by name: "raw features", as the modality reads them, and "untrained encoder" and
    "embedding", as `transform` returns them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.evaluation import beside_baselines
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X[::2])
    >>> rows = beside_baselines(embedder, X[::2], X[1::2])
    >>> {name: test.shape for name, (train, test) in rows.items()}
    {'raw features': (75, 4), 'untrained encoder': (75, 160), 'embedding': (75, 160)}
    """
    candidates = {name: BASELINES[name](embedder) for name in ("raw features", "untrained encoder")}
    candidates[EMBEDDING] = FittedEmbedding(embedder)
    train, test = Rows.of(X_train), Rows.of(X_test)
    return {name: fit_and_read(candidate, train, test)[:2] for name, candidate in candidates.items()}


def label_efficiency(
    features: Mapping[str, Pair | Iterable[Pair]],
    y_train: Any,
    y_test: Any,
    labels_per_class: Sequence[int | str] = (1, 5, 10, 50, "all"),
    *,
    n_draws: int = 10,
    probe: Any = linear_probe,
    random_state: int = 0,
    **settings: Any,
) -> list[Record]:
    """Return the scores of features by number of labels, with the same draws of labels for all features.

    Parameters
    ----------
    features : training and test features by name, or several such pairs, one per seed; see `beside_baselines`.
    y_train, y_test : (n,) and (m,) classes, as for `linear_probe`.
    labels_per_class : numbers of labels per class, or "all"; numbers that no class reaches become "all".
    n_draws : number of draws of labels for each number; "all" is drawn once.
    probe : `linear_probe`, `knn_probe`, or a function with the same arguments that returns one number.
    random_state : seed of the draws.
    **settings : further arguments of the probe.

    Returns
    -------
    A list of dictionaries, which `pandas.DataFrame` reads, with the keys features, labels_per_class, mean, low, high
    (a 95 % interval over draws and seeds; NaN for one score) and scores.

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
    budgets, held = Budgets(tuple(labels_per_class), n_draws).within(learned), asked.labelled
    score = partial(probe, **settings)
    scores: dict[str, Scores] = {name: {n_labels: [] for n_labels in budgets.labels_per_class} for name in features}
    for name, given in features.items():
        for train, test in [given] if isinstance(given, tuple) else given:
            train, test = Rows.of(train), Rows.of(test)
            check_length("y_train", learned.codes, len(train))
            check_length("y_test", asked.codes, len(test))
            known = test[held].as_given()
            found = score_budgets(score, train, learned, known, asked.values(held), budgets, random_state)
            for n_labels, values in found.items():
                scores[name][n_labels] += values
    return efficiency_records(scores)


def _labelled(train: Any, y_train: Any, test: Any, y_test: Any) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Return the labelled rows of both parts, and their classes.

    Raises
    ------
    ValueError : if the training rows have labels of fewer than two classes, or the test rows have none.
    """
    learned, asked = encode_together(y_train=y_train, y_test=y_test)
    train, test = Rows.of(train), Rows.of(test)
    for part, rows, labels, n_least in (("train", train, learned, 2), ("test", test, asked, 1)):
        check_length(f"y_{part}", labels.codes, len(rows))
        n_classes = len(np.unique(labels.codes[labels.labelled]))
        if n_classes < n_least:
            found = counted(n_classes, "class", "classes")
            raise ValueError(f"y_{part} has labels of {found}, but a probe needs {n_least} or more. Pass more labels.")
    return *_known(train, learned), *_known(test, asked)


def _known(rows: Rows, labels: Labels) -> tuple[Any, np.ndarray]:
    known = labels.labelled
    return (rows if len(known) == len(rows) else rows[known]).as_given(), labels.values(known)
