"""`make_views`: what the network is shown, as in training."""

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skclr import ContrastiveEmbedder
from skclr.views import VIEWS

TABLE_VIEWS = ["neighbors", "corruption", "masking", "jitter", "mixup"]


def negate(x):
    return -x


@pytest.mark.parametrize("views", [*TABLE_VIEWS, negate])
def test_views_repeat_and_change_nothing(table, quick, views):
    X, _ = table
    embedder = quick(views=views, batch_size=16).fit(X)
    before = joblib.hash(embedder)
    first, again, other = (embedder.make_views(X, random_state=seed) for seed in (0, 0, 1))
    assert joblib.hash(embedder) == before
    assert [view.shape for view in first] == [X.shape, X.shape]
    for a, b in zip(first, again, strict=True):
        assert_array_equal(a, b)
    if views in VIEWS:
        assert not np.array_equal(first[1], other[1])


def test_views_are_those_of_the_standardised_rows(table, quick):
    X, _ = table
    view, _ = quick(views=negate).fit(X).make_views(X)
    assert_allclose(view, -(X - X.mean(0)) / X.std(0), rtol=1e-4, atol=1e-5)


def test_neighbours_are_rows_of_what_is_shown(table, quick):
    X, _ = table
    embedder = quick(views_params={"on_top": None}).fit(X)
    new = X[:20] + 0.01
    itself, near = embedder.make_views(new)
    rows = [tuple(row) for row in itself]
    assert all(tuple(row) in rows for row in near)


def test_pairs_are_the_views(table, quick):
    X, _ = table
    pairs = X, 2 * X
    embedder = quick(views="paired", views_params={"on_top": None}).fit(pairs)
    one, other = embedder.make_views(pairs)
    standardized = (X - X.mean(0)) / X.std(0)
    assert_allclose(one, standardized, rtol=1e-4, atol=1e-5)
    assert_allclose(other, 2 * X / X.std(0) - X.mean(0) / X.std(0), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"Pass a tuple of aligned arrays"):
        quick().fit(pairs).make_views(X)
    with pytest.raises(ValueError, match=r"X has 2 view"):
        quick().fit(X).make_views(pairs)


def test_local_views_come_last(digits, quick):
    X, _ = digits
    embedder = quick("swav", views_params={"n_local_views": 2}).fit(X)
    assert [view.shape for view in embedder.make_views(X)] == [(120, 1, 8, 8)] * 2 + [(120, 1, 4, 4)] * 2


def test_the_encoder_takes_them(digits, quick):
    X, _ = digits
    embedder = quick().fit(X)
    view = torch.from_numpy(embedder.make_views(X)[0])
    assert embedder.encoder_(view).shape == (120, embedder.encoder_.out_features)


def test_texts_and_untrained_encoders_are_shown_too(quick):
    X = ["one two three", "four five six", "seven eight nine", "ten eleven twelve"]
    views = quick(max_epochs=0).fit(X).make_views(X)
    assert [len(view) for view in views] == [4, 4]


def test_errors(table, quick):
    X, _ = table
    with pytest.raises(NotFittedError):
        ContrastiveEmbedder().make_views(X)
    with pytest.raises(ValueError, match=r"2 features.*expecting 5"):
        quick().fit(X).make_views(X[:, :2])
    with pytest.raises(ValueError, match=r"n_samples=1"):
        quick().fit(X).make_views(X[:1])
