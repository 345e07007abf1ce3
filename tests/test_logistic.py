"""The recommended classifier: what it takes, and how C is chosen."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score

from skclr.logistic import PENALTIES, cross_validation_folds, fit_recommended, logistic_regressions, most_accurate

X, Y = make_blobs(60, 5, centers=3, cluster_std=4, random_state=0)


def test_it_does_not_depend_on_the_scale_of_all_features_or_their_container():
    expected = fit_recommended(X, Y)
    for same in (100 * X, 0.01 * X, csr_matrix(X), X.astype(np.float32)):
        # The solver stops within its tolerance.
        assert np.mean(fit_recommended(same, Y).predict(same) == expected.predict(X)) > 0.97


def test_it_depends_on_the_relative_scales():
    assert not np.array_equal(fit_recommended(X * [9, 1, 1, 1, 1], Y).coef_, fit_recommended(X, Y).coef_)


def test_constant_features_are_accepted():
    assert fit_recommended(np.ones((20, 3)), np.arange(20) % 2).C == 1


def test_the_most_accurate_is_chosen_and_the_first_of_equals():
    folds = cross_validation_folds(Y)
    scores = [cross_val_score(model, X, Y, cv=folds).mean() for model in logistic_regressions()]
    chosen = most_accurate(logistic_regressions(), X, Y)
    assert PENALTIES[int(np.argmax(scores))] == chosen.C
    assert most_accurate(logistic_regressions((3.0, 3.1)), X, Y).C == 3.0


ROWS = np.arange(10_000)


@pytest.mark.parametrize(
    "y",
    [
        Y,
        np.array(list("abc"))[Y],
        np.where(np.arange(60) < 2, 0, 1),
        ROWS % 7,
        # The first and the last class have a single row, and every fifth row in the order of classes is used.
        np.select([ROWS < 1, ROWS < 5_003, ROWS < 5_004], [0, 1, 2], 3),
        np.r_[Y, 7],
    ],
)
def test_each_fold_trains_on_every_class(y):
    folds = cross_validation_folds(y)
    assert len(folds) == 3
    for train, test in folds:
        assert set(y[train]) == set(y)
        assert (np.diff(train) > 0).all()
        assert not np.intersect1d(train, test).size
    assert sum(len(test) for _, test in folds) <= 2_000


@pytest.mark.parametrize(
    "y", [np.arange(12) % 3, np.where(np.arange(60) < 1, 0, 1), np.zeros(60, int), np.linspace(0, 1, 60)]
)
def test_with_too_few_labels_the_first_is_used(y):
    assert not cross_validation_folds(y)
    estimators = [LinearRegression(fit_intercept=False), LogisticRegression()]
    assert isinstance(most_accurate(estimators, X[: len(y)], y), LinearRegression)
