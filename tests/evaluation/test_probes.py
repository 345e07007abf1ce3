"""Probes against scikit-learn's own metrics on the same arrays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skclr.evaluation import (
    beside_baselines,
    draw_labels,
    fine_tune_probe,
    knn_probe,
    label_efficiency,
    linear_probe,
    transfer_probe,
)

METRICS = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "precision_macro": lambda y, p: metrics.precision_score(y, p, average="macro"),
    "recall_macro": lambda y, p: metrics.recall_score(y, p, average="macro"),
    "f1_macro": lambda y, p: metrics.f1_score(y, p, average="macro"),
}


@pytest.fixture(scope="module")
def split():
    """Features and string classes, train then test; one class is rare."""
    X, y = make_classification(300, 6, n_informative=4, n_classes=3, weights=[0.6, 0.3], class_sep=0.7, random_state=0)
    train, test, y_train, y_test = train_test_split(X, np.array(list("abc"))[y], test_size=0.4, random_state=0)
    return train, y_train, test, y_test


@pytest.mark.parametrize("name", METRICS)
def test_linear_probe_is_scikit_learns(split, name):
    train, y_train, test, y_test = split
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(train), y_train)
    expected = METRICS[name](y_test, model.predict(scaler.transform(test)))
    settings = {"penalties": (1.0,), "standardize": True}
    assert_allclose(linear_probe(*split, scoring=name, **settings), expected)
    assert_allclose(linear_probe(*split, scoring=list(METRICS), **settings)[name], expected)


@pytest.mark.parametrize("name", METRICS)
def test_knn_probe_is_a_weighted_vote(split, name):
    train, y_train, test, y_test = split
    predicted = []
    for row in cosine_similarity(test, train):
        near = np.argsort(-row)[:20]
        votes = {c: sum(np.exp(row[i] / 0.07) for i in near if y_train[i] == c) for c in "abc"}
        predicted.append(max(votes, key=votes.get))
    expected = METRICS[name](y_test, predicted)
    assert_allclose(knn_probe(*split, scoring=name, n_neighbors=20, temperature=0.07), expected)


def test_fewer_rows_than_neighbours_all_vote(split):
    assert knn_probe(*split) == knn_probe(*split, n_neighbors=180)


def test_the_penalty_is_chosen_without_the_test_rows(split):
    chosen = linear_probe(*split, penalties=(1e-5, 1.0))
    assert chosen == linear_probe(*split, penalties=(1.0,)) != linear_probe(*split, penalties=(1e-5,))


def test_fine_tuning_and_transfer(digits, quick):
    X, y = digits
    names = np.array(list("abcdefghij"))[y]
    embedder = quick(max_epochs=0).fit(X[:60])
    before = embedder.transform(X)
    tuned = quick(encoder_params={"width": 16}, max_epochs=40, learning_rate=3e-3).fit(X[:60])
    scores = fine_tune_probe(tuned, X[:90], names[:90], X[90:], names[90:], scoring=["accuracy", "f1_macro"])
    assert scores["accuracy"] > 0.5
    # The other set has what a fitted encoder takes: its features are what `transform` gives.
    moved = transfer_probe(embedder, X[60:90], y[60:90], X[90:], y[90:], probe=knn_probe, n_neighbors=5)
    assert moved == knn_probe(before[60:90], y[60:90], before[90:], y[90:], n_neighbors=5)
    assert_array_equal(embedder.transform(X), before)


def test_transfer_reads_a_table_by_its_own_statistics(table, quick):
    X, y = table
    embedder = quick().fit(X)
    assert transfer_probe(embedder, X, y, X, y) == transfer_probe(embedder, X, y, X, y, probe=linear_probe)
    scaled = transfer_probe(embedder, 1000 * X + 7, y, 1000 * X + 7, y)
    assert_allclose(scaled, transfer_probe(embedder, X, y, X, y))


@pytest.mark.parametrize("passthrough", [True, False])
def test_baselines_are_shown_with_the_embedding(table, quick, passthrough):
    X, _ = table
    embedder = quick(passthrough=passthrough).fit(X)
    rows = beside_baselines(embedder, X[:40], X[40:])
    assert list(rows) == ["raw features", "untrained encoder", "embedding"]
    standardized = (X[:40] - X[:40].mean(0)) / X[:40].std(0)
    assert_allclose(rows["raw features"][0], standardized, rtol=1e-4, atol=1e-5)
    assert_array_equal(rows["embedding"][1], embedder.transform(X[40:]))
    untrained = quick(passthrough=passthrough, max_epochs=0).fit(X[:40])
    assert_array_equal(rows["untrained encoder"][1], untrained.transform(X[40:]))


def test_label_efficiency(split):
    train, y_train, test, y_test = split
    features = {"good": (train, test), "seeds": [(train, test), (train[:, :1], test[:, :1])]}
    records = label_efficiency(features, y_train, y_test, (1, 5, "all"), n_draws=4, scoring="f1_macro")
    assert [(r["features"], r["labels_per_class"]) for r in records] == [
        (name, n) for name in features for n in (1, 5, "all")
    ]
    one, _, every, seeds, _, _ = records
    assert len(one["scores"]) == 4
    assert len(seeds["scores"]) == 8
    assert seeds["scores"][:4] == one["scores"]  # the same draws for all features
    assert one["low"] < one["mean"] < one["high"]
    assert every["scores"] == [linear_probe(*split, scoring="f1_macro")]
    assert np.isnan(every["low"])
    again = label_efficiency(features, y_train, y_test, (1, 5, "all"), n_draws=4, scoring="f1_macro")
    assert [r["scores"] for r in records] == [r["scores"] for r in again]


def test_draws_take_so_many_of_each_class():
    y = np.repeat([0, 1, 2], [2, 30, 50])
    first, second = draw_labels(y, 5, 2)
    assert np.bincount(y[first]).tolist() == [2, 5, 5]
    assert len(set(first)) == 12
    assert not np.array_equal(first, second)
    assert_array_equal(draw_labels(y, "all", 3), [np.arange(82)])
