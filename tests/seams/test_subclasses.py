"""A subclass of the embedder sees X as users pass it, whatever calls it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, diagnose, load
from skclr.evaluation import SCORERS
from skclr.plotting import NeighborsDisplay, SimilarityDisplay


class OfLogarithms(ContrastiveEmbedder):
    def fit(self, X, y=None, **more):
        return super().fit(np.log1p(X), y, **more)

    def transform(self, X):
        return super().transform(np.log1p(X))


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).random((60, 5))


@pytest.fixture
def embedder(X):
    return OfLogarithms(max_epochs=1, random_state=0).fit(X)


def test_a_classifier_on_a_subclass(X):
    y = np.where(np.arange(60) % 2, np.arange(60) % 3, -1)
    model = SemiSupervisedClassifier(OfLogarithms(max_epochs=1, random_state=0)).fit(X, y)
    assert model.embedder_.n_features_in_ == 5
    same = SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=1, random_state=0)).fit(np.log1p(X), y)
    assert_array_equal(model.predict_proba(X), same.predict_proba(np.log1p(X)))


def test_a_subclass_with_another_transform_is_not_tuned(X):
    model = SemiSupervisedClassifier(OfLogarithms(max_epochs=1, random_state=0), fine_tune=True)
    with pytest.raises(ValueError, match=r"cannot tune a OfLogarithms.*Set fine_tune=False"):
        model.fit(X, np.arange(60) % 2)


@pytest.mark.parametrize("scorer", ["uniformity", "alignment"])
def test_a_scorer_of_a_subclass(embedder, X, scorer):
    assert np.isfinite(SCORERS[scorer](embedder, X))


def test_tools_on_a_subclass(embedder, X):
    diagnose(embedder, X)
    assert np.isfinite(embedder.score(X))
    NeighborsDisplay.from_estimator(embedder, X)
    SimilarityDisplay.from_estimator(embedder, X)


def test_score_has_the_views_of_the_fit():
    X = np.random.default_rng(0).normal(size=(60, 5))
    pairs = np.stack([X, X + 0.1], 1)
    single = ContrastiveEmbedder(max_epochs=1, random_state=0).fit(X)
    given = ContrastiveEmbedder(max_epochs=1, random_state=0).fit((X, X + 0.1))
    expected = single.score(X), given.score((X, X + 0.1))
    assert single.set_params(views="paired").score(X) == expected[0]
    assert given.score(pairs) == given.set_params(views="auto").score(pairs) == expected[1]


def test_load_refuses_entries_of_parts(tmp_path):
    ContrastiveEmbedder(max_epochs=0, random_state=0).fit(np.eye(6)).save(tmp_path / "model.skclr")
    with pytest.raises(ValueError, match=r"load takes no single entry such as views__rate.*Pass .*views_params"):
        load(tmp_path / "model.skclr", views__rate=0.5)
