"""Probes of the embedding and of its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from skclr.data import Rows, encode_labels
from skclr.data.labels import UNLABELLED
from skclr.evaluation.budgets import Budgets
from skclr.evaluation.candidates import ALONE, BOTH, PLAIN, baseline_names, own_name, with_baselines
from skclr.evaluation.harness import Record, Trial, efficiency_records
from skclr.evaluation.judges import knn_judge, linear_judge
from skclr.evaluation.verdicts import best_of, gain, recommendation, sentence_in_points
from skclr.plotting.label_efficiency import colors
from skclr.plotting.labels import read_labels

_MOST_ROWS = 3_000
_N_SPLITS = 5
_TEST_SHARE = 0.3
_BUDGETS = Budgets((1, 5, 10, 50), n_draws=5)
_METRICS = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "F1 (macro)": "f1_macro"}


def probe_table(embedder: Any, X: Any, y: Any, random_state: int) -> dict[str, Any] | None:
    """Return scores of probes on the embedding and on its baselines, a verdict, and a chart.

    Parameters
    ----------
    embedder : fitted embedder.
    X, y : samples and their labels; unlabelled rows are left out.
    random_state : seed of splits and draws.

    Returns
    -------
    The content of the section; None unless two classes of y have enough rows to be split.
    """
    shown = read_labels(y)
    if shown.dtype.kind == "f":
        return None
    labels = encode_labels(shown, fractions=True)
    rows = _probed_rows(labels.codes, random_state)
    if not len(rows):
        return None
    X, labels = Rows.of(X)[rows], labels.take(rows)
    splitter = StratifiedShuffleSplit(_N_SPLITS, test_size=_TEST_SHARE, random_state=random_state)
    splits = list(splitter.split(labels.codes, labels.codes))
    budgets = _BUDGETS.within(labels.take(splits[0][0]))
    linear, knn = linear_judge(list(_METRICS.values())), knn_judge()
    scores, curves = {}, {}
    for name, candidate in with_baselines(embedder).items():
        trials = [Trial.of(candidate, X, labels, *split) for split in splits]
        scores[name] = [{**trial.score(linear), "knn": trial.score(knn)} for trial in trials]
        curves[name] = trials[0].score_budgets(linear_judge(), budgets, random_state)
    accuracy = {name: np.array([score["accuracy"] for score in repeated]) for name, repeated in scores.items()}
    best = best_of(accuracy, accuracy)
    return {
        "about": f"In %, a logistic regression on {len(splits[0][0]):,} labelled rows, scored on {len(splits[0][1]):,} "
        f"others: mean and standard deviation over {_N_SPLITS} splits.",
        "verdict": _verdict(accuracy),
        "metrics": [*_METRICS, "kNN accuracy"],
        "rows": [{"name": name, "best": name == best, "scores": _formatted(scores[name])} for name in scores],
        "charts": [_chart(efficiency_records(curves))],
    }


def _probed_rows(codes: np.ndarray, random_state: int) -> np.ndarray:
    """Return the numbers of the labelled rows whose classes are large enough to be split."""
    rows = np.flatnonzero(codes != UNLABELLED)
    if len(rows) > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(random_state).choice(rows, _MOST_ROWS, replace=False))
    _, places, counts = np.unique(codes[rows], return_inverse=True, return_counts=True)
    is_large = counts >= 2 / _TEST_SHARE
    return rows[is_large[places]] if is_large.sum() > 1 else rows[:0]


def _formatted(scores: list[dict[str, float]]) -> list[str]:
    columns = np.array([[score[name] for name in (*_METRICS.values(), "knn")] for score in scores]).T
    return [f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}" for values in columns]


def _verdict(accuracy: Mapping[str, np.ndarray]) -> str:
    """Return in words whether the embedding beats the best baseline, and which features to use."""
    baselines, own = baseline_names(accuracy), own_name(accuracy)
    best = best_of(accuracy, baselines)
    difference = gain(accuracy, own, best, _TEST_SHARE / (1 - _TEST_SHARE), n_tests=len(baselines))
    parts = {name: accuracy[name] for name in (PLAIN, ALONE, BOTH) if name in accuracy}
    return " ".join([sentence_in_points(best, difference), *([recommendation(parts)] if parts else [])])


def _chart(records: list[Record]) -> dict[str, Any]:
    lines: dict[str, dict[str, Any]] = {
        name: {"name": name, "color": color, "y": [], "low": [], "high": []}
        for name, color in colors([record["features"] for record in records]).items()
    }
    for record in records:
        for key, of in (("y", "mean"), ("low", "low"), ("high", "high")):
            # A single score has no interval.
            lines[record["features"]][key].append(float(np.nan_to_num(record[of], nan=record["mean"])))
    return {
        "id": "efficiency",
        "x": list(dict.fromkeys(str(record["labels_per_class"]) for record in records)),
        "categories": True,
        "x_title": "labels per class",
        "y_title": "accuracy",
        "lines": list(lines.values()),
    }
