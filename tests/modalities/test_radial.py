"""The plain features of tables."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression
from torch.testing import assert_close

import skclr
from skclr import ContrastiveEmbedder
from skclr.modalities.radial import RadialFeatures, n_features_for

rng = np.random.default_rng(0)
TABLE = rng.normal(size=(80, 5)) * [1, 10, 0.1, 1, 1]


def rows(n=400, d=5):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def quick(**params):
    return ContrastiveEmbedder(**{"max_epochs": 0, "random_state": 0, **params})


def test_all_features_have_one_variance_and_hold_the_columns():
    x = rows()
    radial = RadialFeatures().fit(x)
    features = radial(x)
    assert features.shape == (400, 128)
    assert_close(features.var(0, correction=0), torch.ones(128), atol=1e-3, rtol=0)
    held = LinearRegression().fit(features, x).predict(features)
    assert_allclose(held, x, atol=0.05)


def test_similarities_are_those_of_nystroem():
    x = rows(100)
    radial = RadialFeatures().fit(x)
    nystroem = Nystroem(gamma=1 / radial.width_**2, n_components=100, random_state=0).fit(x.numpy())
    ours = radial._similarities(x) @ radial._map_axes()
    # Both are square roots of one kernel matrix.
    assert_allclose(ours @ ours.T, (z := nystroem.transform(x.numpy())) @ z.T, atol=1e-2)


def test_distances_are_those_of_columns_and_similarities():
    x = rows(100)
    radial = RadialFeatures().fit(x)
    similarities = radial._similarities(x) @ radial._map_axes()
    blocks = [x / x.var(0).sum().sqrt(), similarities / (4 * similarities.var(0).sum()).sqrt()]
    expected = torch.pdist(torch.cat(blocks, 1).double())
    ratios = torch.pdist(radial(x).double()) / expected
    assert_allclose(ratios, ratios.mean(), rtol=1e-2)


@pytest.mark.parametrize(("n_columns", "n_features"), [(1, 128), (128, 128), (129, 256), (500, 512), (9_000, 512)])
def test_wide_tables_have_more_features(n_columns, n_features):
    assert n_features_for(n_columns) == n_features


@pytest.mark.parametrize(
    "X",
    [np.ones((5, 3)), TABLE[:2], np.repeat(TABLE[:1], 9, 0), np.c_[TABLE, np.ones(80)], np.tile(TABLE[:2], (40, 1))],
    ids=["constant", "two rows", "equal rows", "constant column", "two kinds of rows"],
)
def test_tables_with_little_in_them_give_finite_features(X):
    features = quick(max_epochs=1).fit_transform(X)
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 100


@pytest.mark.parametrize("n_columns", [2, 20, 300])
def test_equal_rows_are_similar_where_most_rows_are_equal(n_columns):
    x = torch.from_numpy(np.r_[np.tile(rows(1, n_columns), (80, 1)), rows(20, n_columns)])
    x = ((x - x.mean(0)) / x.std(0, correction=0)).float()
    radial = RadialFeatures().fit(x)
    equal = (x[:, None] == radial.landmarks_).all(2)
    assert_close(radial._similarities(x), equal.float(), atol=0.01, rtol=0.0)


def test_rows_of_many_categories_are_not_similar():
    codes = F.pad(torch.eye(200), (0, 9_800))
    radial = RadialFeatures().fit(codes)
    assert radial.width_ == pytest.approx(0.7 * 2**0.5)


def test_features_of_a_row_do_not_depend_on_its_place_with_few_landmarks():
    X = rows(10, 30).numpy()
    embedder = quick().fit(X)
    assert_array_equal(embedder.transform(X[::-1])[::-1], embedder.transform(X))


def test_rows_far_away_are_similar_to_none():
    radial = RadialFeatures().fit(rows())
    assert radial._similarities(torch.full((1, 5), 1e18)).abs().max() == 0
    assert radial(torch.full((1, 5), 1e18)).isfinite().all()


def test_new_rows_explode_in_no_column():
    for n in (20, 100):
        assert RadialFeatures().fit(rows(n))(rows(500)).abs().max() < 10


def test_gaps_categories_and_dtypes_are_read_once_and_alike():
    frame = pd.DataFrame(TABLE, columns=list("abcde")).assign(
        kind=pd.Categorical(np.array(["x", "y"])[np.arange(80) % 2])
    )
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    embedder = quick().fit(frame)
    features = embedder.transform(frame)
    assert features.shape == (80, 32 + 128)
    assert np.isfinite(features).all()
    assert_array_equal(embedder.transform(frame[5:9]), features[5:9])
    assert_allclose(quick().fit_transform(TABLE.astype(np.float32)), quick().fit_transform(TABLE), atol=1e-2)


def test_sparse_tables_keep_their_columns():
    X = sparse.random(60, 30, 0.2, format="csr", random_state=0)
    assert quick().fit_transform(X).shape == (60, 128)
    features = quick(passthrough=True).fit_transform(X)
    assert features.shape == (60, 128 + 30)
    assert_allclose(features[:, 128:] == 0, X.toarray() == 0)


def test_pieces_of_a_stream_have_the_landmarks_of_the_first(tmp_path):
    embedder = quick().partial_fit(TABLE[:40])
    before = embedder.model_.modality.radial_.state()
    embedder.partial_fit(TABLE[40:])
    assert all(embedder.model_.modality.radial_.state()[name] is value for name, value in before.items())
    embedder.save(tmp_path / "model.skclr")
    again = skclr.load(tmp_path / "model.skclr")
    assert_array_equal(again.transform(TABLE), embedder.transform(TABLE))
    # A later fit finds its own.
    again.fit(TABLE)
    assert len(again.model_.modality.radial_.landmarks_) == 80


def test_rows_of_other_storage_give_the_same(tmp_path):
    stored = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", TABLE.dtype, TABLE.shape)
    stored[:] = TABLE
    one, other = (quick(views="corruption").fit(X).model_.modality.radial_ for X in (TABLE, stored))
    assert_close(one.axes_, other.axes_)


def test_neighbours_are_those_of_the_columns():
    modality = quick().fit(TABLE).model_.modality
    assert modality.facts()["features"] == modality.columns
