"""Judges: estimators that learn labels from features, and their scoring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class Judge:
    """A scikit-learn estimator that learns labels from features, and the score that compares features.

    Attributes
    ----------
    estimators : estimators, cloned for each fit. If there are several, the one with the best score on a fifth of the
        training rows is used, or the first if some class has too few rows to hold one out.
    scoring : name of a scikit-learn scorer, callable, or list of names.
    scales : whether the features are scaled first, each or all together, depending on the candidate.
    """

    estimators: Sequence[Any]
    scoring: Any = "accuracy"
    scales: bool = True

    def __call__(
        self, train: np.ndarray, y_train: np.ndarray, test: np.ndarray, y_test: np.ndarray, *, standardize: bool = True
    ) -> Any:
        """Return the score on the test features after a fit on the training features; a dictionary for a list."""
        if self.scales:
            train, test = _scaled(train, test, standardize=standardize)
        return self.score(self._chosen(train, y_train).fit(train, y_train), test, y_test)

    def score(self, fitted: Any, test: Any, y_test: np.ndarray) -> Any:
        """Return the score of a fitted estimator, from this judge or elsewhere."""
        return check_scoring(fitted, self.scoring)(fitted, test, y_test)

    def _chosen(self, train: np.ndarray, y: np.ndarray) -> Any:
        estimators = [clone(estimator) for estimator in self.estimators]
        if len(estimators) == 1:
            return estimators[0]
        counts = np.unique(y, return_counts=True)[1]
        n_held = max(math.ceil(len(y) / 5), len(counts))
        if counts.min() < 2 or len(y) - n_held < len(counts):
            return estimators[0]
        fit, held, y_fit, y_held = train_test_split(train, y, test_size=n_held, random_state=0, stratify=y)
        return clone(max(estimators, key=lambda estimator: estimator.fit(fit, y_fit).score(held, y_held)))


def linear_judge(scoring: Any = "accuracy", penalties: Sequence[float] = (1.0,)) -> Judge:
    """Return the judge of `linear_probe`: a logistic regression on scaled features."""
    return Judge([LogisticRegression(C=penalty, max_iter=1000, tol=1e-3) for penalty in penalties], scoring)


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


def _scaled(train: np.ndarray, test: np.ndarray, *, standardize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return centred features, each divided by its standard deviation, or all by that of the whole table.

    Sparse features are left as they are, since centred ones would be dense.
    """
    if issparse(train):
        return train, test
    scaler = StandardScaler(with_std=standardize).fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    if standardize:
        return train, test
    scale = train.std() or 1.0
    return train / scale, test / scale
