"""Scorers without labels, in scikit-learn's searches."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skclr import evaluation
from skclr.evaluation import SCORERS, embed, embed_two_views


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_measure_embeddings_and_greater_is_better(table, quick, name):
    X, _ = table
    embedder = quick().fit(X)
    one, two = [embed(embedder, X)], embed_two_views(embedder, X)
    assert one[0].shape == (60, embedder.encoder_.out_features)  # without the plain features
    measure = getattr(evaluation, name)
    try:
        value = measure(*one)
    except TypeError:
        value = measure(*two)
    sign = -1 if name in ("alignment", "uniformity", "collapsed_share") else 1
    assert_allclose(SCORERS[name](embedder, X), sign * value)
    assert SCORERS[name](embedder, X) == pickle.loads(pickle.dumps(SCORERS[name]))(embedder, X)
    assert name in repr(SCORERS[name])


def test_views_of_a_scorer_are_views_of_training(table, quick):
    X, _ = table
    embedder = quick().fit(X)
    z1, z2 = embed_two_views(embedder, X)
    assert not np.array_equal(z1, z2)
    assert_allclose(embed_two_views(embedder, X), [z1, z2], rtol=0, atol=0)


def test_grid_search_without_labels(table, quick):
    X, _ = table
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("embed", quick())]),
        {"embed__loss__temperature": [0.1, 1.0]},
        scoring=SCORERS,
        refit="effective_rank",
        cv=2,
    )
    search.fit(X)
    assert all(np.isfinite(search.cv_results_[f"mean_test_{name}"]).all() for name in SCORERS)
    assert 1 <= search.score(X) <= 60


def test_score_is_loss_independent_and_needs_no_labels(table, quick):
    X, y = table
    embedder = quick().fit(X)
    assert embedder.score(X) == embedder.score(X, y)
    assert_allclose(embedder.score(X), SCORERS["info_nce_bound"](embedder, X))
    pipe = make_pipeline(StandardScaler(), quick()).fit(X)
    assert_allclose(pipe.score(X), pipe[-1].score(pipe[0].transform(X)))
    search = GridSearchCV(quick(), {"framework": ["simclr", "byol"], "loss": ["auto"]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("name", SCORERS)
def test_pairs_in_one_array_are_scored_as_those_in_a_tuple(table, quick, name):
    X, _ = table
    pairs = np.stack([X, X + 0.1], 1)
    embedder = quick(views="paired").fit(pairs)
    assert SCORERS[name](embedder, pairs) == SCORERS[name](embedder, (X, X + 0.1))
