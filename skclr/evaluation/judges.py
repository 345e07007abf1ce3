"""Judges: estimators that learn labels from features, and their scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skclr.logistic import PENALTIES, logistic_regressions, mean_variance, most_accurate


@dataclass(frozen=True)
class Judge:
    """A scikit-learn estimator that learns labels from features, and the score that compares features.

    Attributes
    ----------
    estimators : estimators, cloned for each fit. If there are several, the one with the best score in a
        cross-validation of the training rows is used, or the first if there are too few labels; see `most_accurate`.
    scoring : name of a scikit-learn scorer, callable, or list of names.
    scales : whether the features are scaled first: each of them, or all by one number.
    standardize : whether each feature is scaled.
    """

    estimators: Sequence[Any]
    scoring: Any = "accuracy"
    scales: bool = True
    standardize: bool = False

    def __call__(self, train: Any, y_train: np.ndarray, test: Any, y_test: np.ndarray) -> Any:
        """Return the score on the test features after a fit on the training features; a dictionary for a list."""
        if self.scales:
            train, test = _scaled(train, test, standardize=self.standardize)
        return self.score(most_accurate(self.estimators, train, y_train).fit(train, y_train), test, y_test)

    def score(self, fitted: Any, test: Any, y_test: np.ndarray) -> Any:
        """Return the score of a fitted estimator, from this judge or elsewhere."""
        return check_scoring(fitted, self.scoring)(fitted, test, y_test)


def linear_judge(
    scoring: Any = "accuracy", penalties: Sequence[float] = PENALTIES, *, standardize: bool = False
) -> Judge:
    """Return the judge of `linear_probe`: a logistic regression, with C chosen by cross-validation."""
    return Judge(logistic_regressions(penalties), scoring, standardize=standardize)


def knn_judge(scoring: Any = "accuracy", n_neighbors: int = 200, temperature: float = 0.1) -> Judge:
    """Return the judge of `knn_probe`: a weighted vote by cosine similarity, on unscaled features."""
    return Judge([CosineVote(n_neighbors, temperature)], scoring, scales=False)


class CosineVote(ClassifierMixin, BaseEstimator):
    """Vote of the nearest rows by cosine similarity, with weights exp(cosine / temperature).

    Parameters
    ----------
    n_neighbors : number of rows that vote; all if there are fewer.
    temperature : temperature of the weights, above 0.

    References
    ----------
    Wu et al. 2018, sec. 3.4. Differs: none.
    """

    def __init__(self, n_neighbors: int = 200, temperature: float = 0.1) -> None:
        self.n_neighbors = n_neighbors
        self.temperature = temperature

    def fit(self, X: np.ndarray, y: np.ndarray) -> CosineVote:
        """Store the rows that vote."""
        weights = partial(_weights, temperature=self.temperature)
        voters = KNeighborsClassifier(min(self.n_neighbors, X.shape[0]), metric="cosine", weights=weights)
        self.voters_ = voters.fit(X, y)
        self.classes_ = self.voters_.classes_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the class with the most votes for each row."""
        return self.voters_.predict(X)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return each class's share of the votes for each row."""
        return self.voters_.predict_proba(X)


def _weights(distances: np.ndarray, temperature: float) -> np.ndarray:
    # Relative to the nearest row's weight, since exp would overflow at low temperatures.
    return np.exp((distances.min(axis=1, keepdims=True) - distances) / temperature)


def _scaled(train: Any, test: Any, *, standardize: bool) -> tuple[Any, Any]:
    """Return features, each divided by its standard deviation, or all by one number; dense ones are centred."""
    scaler = StandardScaler(with_mean=not issparse(train)).set_output(transform="default").fit(train)
    if not standardize:
        scaler.scale_ = np.full_like(scaler.scale_, np.sqrt(mean_variance(train)))
    return scaler.transform(train), scaler.transform(test)
