"""The recommended classifier of features: a logistic regression, with C chosen by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

# The first is used if there are too few labels to choose, and among equally accurate ones.
PENALTIES = (1.0, 0.1, 10.0, 0.01, 100.0)
_N_FOLDS, _FEWEST_LABELS = 3, 5
# The best C hardly depends on the number of rows, and more rows would only take time.
_MOST_ROWS = 2_000


def logistic_regressions(penalties: Sequence[float] = PENALTIES, variance: float = 1.0) -> list[LogisticRegression]:
    """Return an unfitted logistic regression for each value of C.

    Parameters
    ----------
    penalties : values of C for features whose mean variance is 1.
    variance : mean variance of the features; dividing C by it does the same as dividing the features by its root.
    """
    return [LogisticRegression(C=penalty / variance, max_iter=1000) for penalty in penalties]


def mean_variance(features: Any) -> float:
    """Return the mean variance of the columns of features; 1 if none varies, and for sparse rows, whose length is 1."""
    return 1.0 if issparse(features) else float(np.var(np.asarray(features), axis=0).mean()) or 1.0


def fit_recommended(features: Any, y: np.ndarray) -> LogisticRegression:
    """Return the recommended classifier, fitted: features are taken as they are, and C relative to their variance."""
    candidates = logistic_regressions(variance=mean_variance(features))
    return most_accurate(candidates, features, y).fit(features, y)


def most_accurate(estimators: Sequence[Any], X: Any, y: np.ndarray) -> Any:
    """Return an unfitted copy of the estimator with the best score in a cross-validation.

    Parameters
    ----------
    estimators : estimators with `score`; the first is returned if there are fewer than 5 labels per class on average,
        or fewer than two classes of two rows.
    X, y : features and classes of labelled rows.
    """
    folds = cross_validation_folds(y) if len(estimators) > 1 and np.ndim(y) == 1 else []
    if not folds:
        return clone(estimators[0])
    return clone(max(estimators, key=lambda estimator: cross_val_score(estimator, X, y, cv=folds).mean()))


def cross_validation_folds(y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return increasing row numbers of each fold's training and test part; none if there are too few labels.

    A class of one row cannot be tested, and is in every training part.
    """
    _, first, codes = np.unique(y, return_index=True, return_inverse=True)
    # In the order of classes, every third row is a fold in which all classes are represented equally.
    rows = np.argsort(codes, kind="stable")[:: math.ceil(len(y) / _MOST_ROWS)]
    rows = np.append(rows, first[np.setdiff1d(codes, codes[rows])])
    counts = np.bincount(codes[rows])
    if np.count_nonzero(counts > 1) < 2 or len(rows) < _FEWEST_LABELS * len(counts):
        return []
    places = np.where(counts[codes[rows]] > 1, np.arange(len(rows)) % _N_FOLDS, _N_FOLDS)
    return [(np.sort(rows[places != fold]), np.sort(rows[places == fold])) for fold in range(_N_FOLDS)]
