import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from torch.testing import assert_close

from skclr import ContrastiveEmbedder
from skclr.modalities import Tabular
from skclr.model import InputFeatures

N = 40


def mixed_columns():
    """A dictionary of one column of each kind, with a gap in most."""
    rng = np.random.default_rng(0)
    return {
        "age": [None if i == 3 else float(v) for i, v in enumerate(rng.integers(20, 60, N))],
        "rooms": rng.integers(1, 6, N).tolist(),
        "city": [None if i == 5 else v for i, v in enumerate(rng.choice(["Bern", "Genf", "Basel"], N).tolist())],
        "garden": [None if i == 7 else bool(v) for i, v in enumerate(rng.integers(0, 2, N))],
        "grade": rng.choice(["a", "b"], N).tolist(),
    }


FRAMES = {
    "pandas": lambda columns: pd.DataFrame(columns).astype({"grade": "category"}),
    "pandas_extension": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "polars": lambda columns: pl.DataFrame(columns).with_columns(pl.col("grade").cast(pl.Categorical)),
}
IS_CATEGORICAL = [False, False, True, True, True]

every_frame = pytest.mark.parametrize("kind", FRAMES)


def read(X, **params):
    modality = Tabular(**params)
    rows = modality.read(X, InputFeatures(), reset=True)
    return modality, modality.to_tensor(rows)


@every_frame
def test_frames_of_every_kind_are_read_alike(kind):
    modality, x = read(FRAMES[kind](mixed_columns()))
    _, expected = read(FRAMES["pandas"](mixed_columns()))
    assert_array_equal(modality.is_categorical_, IS_CATEGORICAL)
    assert modality.cardinalities_ == (0, 0, 3, 2, 2)
    assert modality.gaps_ == (True, False, False, False, False)
    assert_close(x, expected, equal_nan=True)


def test_numbers_are_standardised_and_categories_are_codes():
    columns = mixed_columns()
    _, x = read(FRAMES["pandas"](columns))
    rooms = np.asarray(columns["rooms"])
    assert_allclose(x[:, 1].numpy(), (rooms - rooms.mean()) / rooms.std(), rtol=1e-5)
    assert_close(x[:, 0].nanmean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    codes = {city: code for code, city in enumerate(sorted(["Bern", "Genf", "Basel"]))}
    expected = [np.nan if city is None else codes[city] for city in columns["city"]]
    assert_array_equal(x[:, 2].numpy(), np.float32(expected))
    assert x[[3, 5, 7], [0, 2, 3]].isnan().all()


def test_arrays_name_their_categorical_columns():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=N), rng.integers(0, 3, N) * 10.0, rng.normal(size=N)])
    for chosen in ([1], np.array([False, True, False])):
        modality, x = read(X, categorical_features=chosen)
        assert modality.cardinalities_ == (0, 3, 0)
        assert_array_equal(x[:, 1].numpy(), X[:, 1] / 10)
    texts = np.empty(X.shape, dtype=object)
    texts[:, 0], texts[:, 1], texts[:, 2] = X[:, 0], [f"c{v:.0f}" for v in X[:, 1]], X[:, 2]
    assert_close(read(texts, categorical_features=[1])[1], x)
    by_name, _ = read(pd.DataFrame(X, columns=list("abc")), categorical_features=["b"])
    assert by_name.cardinalities_ == (0, 3, 0)


def test_unseen_and_missing_categories_are_gaps():
    frame = FRAMES["pandas"](mixed_columns())
    columns = InputFeatures()
    modality = Tabular()
    modality.read(frame, columns, reset=True)
    other = frame.astype({"grade": object}).assign(city="Oslo", grade=None)
    with pytest.warns(UserWarning, match="no value of column 'city' was seen in fit"):
        x = modality.to_tensor(modality.read(other, columns, reset=False))
    assert x[:, [2, 4]].isnan().all()
    assert not modality.columns(x).isnan().any()


def test_rare_categories_share_a_code():
    frame = pd.DataFrame({"x": np.arange(N) * 1.0, "word": [f"w{i}" if i < 10 else "usual" for i in range(N)]})
    modality, x = read(frame, max_categories=4)
    assert modality.cardinalities_ == (0, 4)
    assert x[:, 1].unique().numel() == 4


def test_columns_are_standardised_numbers_and_indicators():
    modality, x = read(FRAMES["pandas"](mixed_columns()))
    features = modality.columns(x)
    assert features.shape == (N, 2 + 3 + 2 + 2) == (N, modality.n_columns)
    assert_close(features[:, :2], x[:, :2].nan_to_num(0.0))
    # A gap belongs to no category.
    assert_array_equal(features[:, 2:5].sum(1).numpy(), (~x[:, 2].isnan()).float().numpy())


@every_frame
@pytest.mark.parametrize("encoder", ["mlp", "residual_mlp", "feature_transformer"])
@pytest.mark.parametrize("views", ["neighbors", "corruption", "masking", "jitter", "mixup"])
def test_mixed_frames_train(kind, encoder, views, quick):
    if kind != "pandas" and (encoder, views) != ("mlp", "neighbors"):
        pytest.skip("the frame's kind matters to reading alone")
    frame = FRAMES[kind](mixed_columns())
    embedder = quick(encoder=encoder, views=views).fit(frame)
    features = embedder.transform(frame)
    assert np.isfinite(features).all()
    assert features.shape[1] == 32 + 128
    assert_array_equal(embedder.transform(frame[:3]), features[:3])
    assert_array_equal(clone(embedder).fit_transform(frame), features)


@pytest.mark.parametrize("encoder", ["mlp", "residual_mlp", "feature_transformer"])
def test_gaps_at_transform_only_are_taken(table, quick, encoder):
    X, _ = table
    embedder = quick(encoder=encoder).fit(X)
    X = X.copy()
    X[:, 2] = np.nan
    assert np.isfinite(embedder.transform(X)).all()


def test_sparse_rows_equal_dense_ones_that_are_scaled_alone(quick):
    dense = np.random.default_rng(0).poisson(0.3, (N, 30)).astype(float)
    X = sparse.csr_matrix(dense)
    embedder = quick().fit(X, unlabeled=X[:5])
    features = embedder.transform(X)
    assert features.shape == (N, embedder.encoder_.out_features)
    assert_array_equal(embedder.transform(dense), features)
    modality, x = read(X)
    assert_allclose(x.numpy(), dense / dense.std(0), rtol=1e-5)
    assert modality.views == "corruption"


@pytest.mark.parametrize(
    ("earlier", "views", "passthrough"),
    [
        ({}, "neighbors", True),
        ({"views": "corruption"}, "corruption", True),
        ({"views": "corruption", "passthrough": False}, "corruption", False),
    ],
    ids=["memory", "disk", "sparse"],
)
def test_defaults_that_an_earlier_version_wrote_are_read(earlier, views, passthrough):
    modality, _ = read(np.random.default_rng(0).normal(size=(N, 3)))
    state = {name: value for name, value in modality.state().items() if name != "storage_"}
    again = Tabular.from_state({**state, **earlier})
    assert (again.views, again.passthrough) == (views, passthrough)
    assert Tabular.from_state(again.state()).storage_ == again.storage_


def test_a_sparse_matrix_is_never_densified_whole(quick, monkeypatch):
    monkeypatch.setattr("skclr.data.samples.resident_bytes", lambda device: 0)
    made = []
    to_tensor = Tabular.to_tensor
    monkeypatch.setattr(Tabular, "to_tensor", lambda self, rows: made.append(rows.shape[0]) or to_tensor(self, rows))
    X = sparse.random(5_000, 50, density=0.05, format="csr", random_state=0)
    quick(batch_size=64, max_epochs=1, views="masking").fit(X).transform(X)
    assert max(made) <= 2048


def test_a_column_of_gaps_alone_is_taken(table, quick):
    X = np.column_stack([table[0], np.full(len(table[0]), np.nan)])
    assert np.isfinite(quick().fit_transform(X)).all()


@pytest.mark.filterwarnings("ignore:no value of column 'same'")
@pytest.mark.parametrize("value", [3.0, "Bern"])
def test_a_constant_column_is_taken(table, quick, value):
    X = pd.DataFrame(table[0], columns=list("abcde")).assign(same=value)
    embedder = quick().fit(X)
    features = embedder.transform(X.assign(same=pd.Series(["Oslo"] * len(X)) if value == "Bern" else value + 1))
    assert np.isfinite(features).all()


@pytest.mark.parametrize("value", [1e18, 1e20, 1e30])
def test_a_constant_column_of_large_numbers_becomes_zero(value):
    _, x = read(np.c_[np.arange(N), np.full(N, value)])
    assert_array_equal(x[:, 1].numpy(), np.zeros(N))


def test_large_numbers_that_differ_little_are_standardised():
    numbers = np.arange(N) * 256.0
    _, x = read(np.c_[numbers, 1.6e18 + numbers])
    # float64 has a spacing of 256 there, and so has the mean.
    assert_allclose(x[:, 1], x[:, 0], atol=0.1)


def test_a_column_of_words_and_numbers_holds_categories():
    modality, x = read(pd.DataFrame({"x": np.arange(N) * 1.0, "mixed": ["1", 1, 2.5, None] * (N // 4)}))
    assert modality.cardinalities_ == (0, 2)
    assert_array_equal(x[:4, 1].numpy(), np.float32([0, 0, 1, np.nan]))


def test_unseen_categories_are_embedded(quick):
    frame = FRAMES["pandas"](mixed_columns())
    embedder = quick().fit(frame)
    with pytest.warns(UserWarning, match="no value of column 'city' was seen in fit"):
        Z = embedder.transform(frame.astype({"grade": object}).assign(city="Oslo", grade=None))
    assert np.isfinite(Z).all()


@every_frame
def test_other_columns_at_transform(kind, quick):
    columns = mixed_columns()
    embedder = quick().fit(FRAMES[kind](columns))
    renamed = {("storeys" if name == "rooms" else name): values for name, values in columns.items()}
    with pytest.raises(ValueError, match="storeys"):
        embedder.transform(FRAMES[kind](renamed))
    with pytest.raises(ValueError, match="rooms"):
        embedder.transform(FRAMES[kind]({name: columns[name] for name in columns if name != "rooms"}))
    with pytest.raises(ValueError, match="same order"):
        embedder.transform(FRAMES[kind](dict(reversed(columns.items()))))
    assert embedder.transform(FRAMES[kind](columns)).shape[0] == N


def test_words_in_a_column_of_numbers_at_transform(quick):
    frame = FRAMES["pandas"](mixed_columns())
    embedder = quick().fit(frame)
    with pytest.raises(ValueError, match="text where a table needs numbers"):
        embedder.transform(frame.assign(rooms="many"))


@every_frame
def test_behind_the_vectorizer_of_skrub(kind):
    skrub = pytest.importorskip("skrub", reason="skrub is not installed")
    frame = FRAMES[kind](mixed_columns())
    pipe = make_pipeline(skrub.TableVectorizer(), ContrastiveEmbedder(max_epochs=1, random_state=0)).fit(frame)
    assert pipe[-1].modality_ == "tabular"
    embedding = pipe.transform(frame[:5])
    assert embedding.shape == (5, len(pipe.get_feature_names_out()))
    assert np.isfinite(embedding).all()
