"""Whether the embedding beats the features that come for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from skclr import evaluation
from skclr.data import encode_labels
from skclr.data.positives import UNLABELLED
from skclr.modalities import take_rows
from skclr.plotting.label_efficiency import beside_baselines, colors, is_learned, label_efficiency
from skclr.plotting.labels import read_labels

_MOST_ROWS = 3_000
_N_SPLITS = 5
_TEST_SHARE = 0.3
_LABELS_PER_CLASS = (1, 5, 10, 50)
_N_DRAWS = 5
_METRICS = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "F1 (macro)": "f1_macro"}

Features = dict[str, tuple[np.ndarray, np.ndarray]]
Scores = dict[str, float]


def probe_table(embedder: Any, X: Any, y: Any, random_state: int) -> dict[str, Any] | None:
    """Give scores of a linear probe on the embedding and on the baselines, a sentence on them, and a chart.

    Parameters
    ----------
    embedder : fitted.
    X, y : samples and their labels; unlabelled rows are left out.
    random_state : seed of splits and draws.

    Returns
    -------
    What the page shows; None where y holds no two classes of some rows.
    """
    labels = read_labels(y)
    if labels.dtype.kind == "f":
        return None
    codes = encode_labels(labels, fractions=True).codes
    rows = _probed_rows(codes, random_state)
    if not len(rows):
        return None
    y = codes[rows]
    splits = list(_splits(embedder, take_rows(X, rows), y, random_state))
    scores = {
        name: [_scores(name, features[name], y[train], y[test]) for features, train, test in splits]
        for name in splits[0][0]
    }
    accuracy = {name: np.array([score["accuracy"] for score in repeated]) for name, repeated in scores.items()}
    best = max(accuracy, key=lambda name: accuracy[name].mean())
    return {
        "about": f"In %, a logistic regression on {len(splits[0][1]):,} labelled rows, scored on {len(splits[0][2]):,} "
        f"others: mean and deviation of {_N_SPLITS} splits.",
        "verdict": _verdict(accuracy),
        "metrics": [*_METRICS, "kNN accuracy"],
        "rows": [{"name": name, "best": name == best, "scores": _written(scores[name])} for name in scores],
        "charts": [_chart(*splits[0], y, random_state)],
    }


def _probed_rows(codes: np.ndarray, random_state: int) -> np.ndarray:
    """Return row numbers with labels, of classes large enough to be split."""
    rows = np.flatnonzero(codes != UNLABELLED)
    if len(rows) > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(random_state).choice(rows, _MOST_ROWS, replace=False))
    _, places, counts = np.unique(codes[rows], return_inverse=True, return_counts=True)
    is_large = counts >= 2 / _TEST_SHARE
    return rows[is_large[places]] if is_large.sum() > 1 else rows[:0]


def _splits(
    embedder: Any, X: Any, y: np.ndarray, random_state: int
) -> Iterator[tuple[Features, np.ndarray, np.ndarray]]:
    """Give the features of training and test rows, and those rows, of each split."""
    splitter = StratifiedShuffleSplit(_N_SPLITS, test_size=_TEST_SHARE, random_state=random_state)
    for train, test in splitter.split(y, y):
        yield beside_baselines(embedder, take_rows(X, train), take_rows(X, test)), train, test


def _scores(name: str, features: tuple[np.ndarray, np.ndarray], y_train: np.ndarray, y_test: np.ndarray) -> Scores:
    given = features[0], y_train, features[1], y_test
    linear = evaluation.linear_probe(*given, scoring=list(_METRICS.values()), standardize=is_learned(name))
    return {**linear, "knn": evaluation.knn_probe(*given)}


def _written(scores: list[Scores]) -> list[str]:
    columns = np.array([[score[name] for name in (*_METRICS.values(), "knn")] for score in scores]).T
    return [f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}" for values in columns]


def _verdict(accuracy: dict[str, np.ndarray]) -> str:
    """Say whether the embedding beats the best of the others, by the corrected resampled t-test."""
    baselines = {name: values for name, values in accuracy.items() if name != "embedding"}
    best = max(baselines, key=lambda name: baselines[name].mean())
    difference = evaluation.corrected_t_test(
        accuracy["embedding"] - baselines[best], _TEST_SHARE / (1 - _TEST_SHARE), n_tests=len(baselines)
    )
    found = "did not clearly help"
    if difference.low > 0:
        found = "helped"
    elif difference.high < 0:
        found = "did harm"
    points = [f"{100 * value:+.1f}" for value in (difference.mean, difference.low, difference.high)]
    return (
        f"With all labels, pretraining {found}: {points[0]} points of accuracy against the best baseline, {best} "
        f"(95 % interval from {points[1]} to {points[2]})."
    )


def _chart(features: Features, train: np.ndarray, test: np.ndarray, y: np.ndarray, random_state: int) -> dict[str, Any]:
    records = label_efficiency(features, y[train], y[test], _LABELS_PER_CLASS, _N_DRAWS, random_state)
    lines: dict[str, dict[str, Any]] = {
        name: {"name": name, "color": color, "y": [], "low": [], "high": []}
        for name, color in colors(list(features)).items()
    }
    for record in records:
        for key, of in (("y", "mean"), ("low", "low"), ("high", "high")):
            lines[record["features"]][key].append(record[of])
    return {
        "id": "efficiency",
        "x": [str(n) for n in _LABELS_PER_CLASS],
        "categories": True,
        "x_title": "labels a class",
        "y_title": "accuracy",
        "lines": list(lines.values()),
    }
