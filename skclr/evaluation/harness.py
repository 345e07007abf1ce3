"""Evaluation of one candidate: it is fitted on rows without labels and judged with some of their labels.

A trial has one candidate, one split of the rows and one judge; comparisons run several trials. A new baseline is a
`Candidate` and a line in `BASELINES`, a new judge is a `Judge`, and a new display starts from `with_baselines`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from skclr.data import Labels, Rows
from skclr.evaluation.budgets import Budgets, Count
from skclr.evaluation.candidates import Candidate, Costs
from skclr.evaluation.judges import Judge
from skclr.evaluation.statistics import confidence_interval

Record = dict[str, Any]
# Scores of a judge for each draw of labels, by number of labels.
Scores = dict[Count, list[Any]]


@dataclass(frozen=True)
class Trial:
    """One fitted candidate on one split of the rows, which any judge can score.

    Attributes
    ----------
    candidate : candidate, fitted on the training rows.
    train, labels : training rows as read by the candidate, and their labels.
    test, y_test : test rows as read by the candidate, and their labels; all of them are labelled.
    measured : costs of fitting and reading.
    """

    candidate: Candidate
    train: Any
    labels: Labels
    test: Any
    y_test: np.ndarray
    measured: Costs

    @classmethod
    def of(cls, candidate: Candidate, X: Any, labels: Labels, train: np.ndarray, test: np.ndarray) -> Trial:
        """Fit a candidate on the training rows of a split, and read both parts.

        Parameters
        ----------
        candidate : candidate, which is fitted in place.
        X, labels : rows and their labels.
        train, test : row numbers; those of `test` are labelled.
        """
        rows = Rows.of(X)
        read_train, read_test, costs = fit_and_read(candidate, rows[train], rows[test])
        return cls(candidate, read_train, labels.take(train), read_test, labels.values(test), costs)

    def score(self, judge: Judge) -> Any:
        """Return the judge's score on the test rows, with all labels of the training rows."""
        known = self.labels.labelled
        train = Rows.of(self.train)[known].as_given()
        return self.candidate.score(train, self.labels.values(known), self.test, self.y_test, judge=judge)

    def score_budgets(self, judge: Judge, budgets: Budgets, random_state: int) -> Scores:
        """Return the judge's scores on the test rows, by number of labels."""
        score = partial(self.candidate.score, judge=judge)
        return score_budgets(score, self.train, self.labels, self.test, self.y_test, budgets, random_state)

    @property
    def costs(self) -> Costs:
        """Return the candidate's costs, after it was scored."""
        return self.candidate.costs(self.measured)


def fit_and_read(candidate: Candidate, X_train: Rows, X_test: Rows) -> tuple[Any, Any, Costs]:
    """Fit a candidate on the training rows and read both parts.

    Returns
    -------
    Training rows and test rows as read by the candidate, and the costs of fitting and reading.
    """
    start = time.perf_counter()
    candidate.fit(X_train)
    fitted = time.perf_counter()
    train, test = candidate.read(X_train), candidate.read(X_test)
    seconds = time.perf_counter() - fitted
    # Reading may be too fast for the clock.
    return train, test, Costs(fitted - start, (len(X_train) + len(X_test)) / max(seconds, 1e-9))


def score_budgets(
    score: Callable[..., Any],
    train: Any,
    labels: Labels,
    test: Any,
    y_test: np.ndarray,
    budgets: Budgets,
    random_state: int,
) -> Scores:
    """Return the scores on the test rows for each number of training labels.

    Parameters
    ----------
    score : function of (train, y_train, test, y_test); `Candidate.score` with a judge, or a probe.
    train, labels : training rows as the candidate reads them, and their labels.
    test, y_test : test rows, all labelled.
    budgets : numbers and draws of labels.
    random_state : seed of the draws.
    """
    given = Rows.of(train)
    return {
        n_labels: [score(given[rows].as_given(), labels.values(rows), test, y_test) for rows in draws]
        for n_labels, draws in budgets.draw(labels, random_state).items()
    }


def reseeded(estimator: Any, seed: int) -> Any:
    """Return a copy of an estimator in which every `random_state` is the same seed."""
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    return clone(estimator).set_params(**dict.fromkeys(names, seed))


def efficiency_records(scores: Mapping[str, Scores]) -> list[Record]:
    """Return a record for each name and number of labels, as described in `label_efficiency`."""
    return [
        {"features": name, "labels_per_class": n_labels, **_summary(values)}
        for name, by_count in scores.items()
        for n_labels, values in by_count.items()
    ]


def _summary(scores: Sequence[float]) -> Record:
    low, high = confidence_interval(scores)
    return {"mean": float(np.mean(scores)), "low": low, "high": high, "scores": [float(score) for score in scores]}
