"""Columns that are not features, and columns that no table can read."""

import datetime
import warnings
from decimal import Decimal

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import skclr
from skclr import ContrastiveEmbedder
from skclr.data.stored import Stored
from skclr.modalities.doubtful import are_dates, determines, doubtful_columns

N = 60
RNG = np.random.default_rng(0)
COLUMNS = {
    "id": [f"u{i:03d}" for i in range(N)],
    "day": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
    "one": ["same"] * N,
    "x": RNG.normal(size=N).tolist(),
    "kind": RNG.choice(list("abc"), N).tolist(),
    "copy": [("no", "yes")[i % 2] for i in range(N)],
}
TARGET = np.arange(N) % 2


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_columns_that_are_not_features_are_found_by_name(frame):
    found = doubtful_columns(frame(COLUMNS), TARGET)
    assert found == (["id"], ["day"], ["one"], ["copy"])


def test_columns_of_arrays_are_found_by_number():
    X = np.c_[RNG.normal(size=N), np.full(N, 2.0), TARGET * 5.0]
    assert doubtful_columns(X, TARGET) == ([], [], [1], [2])
    assert doubtful_columns(sparse.csr_array(X), TARGET) == ([], [], [1], [2])
    assert doubtful_columns(X) == ([], [], [1], [])


def test_many_categories_with_one_class_each_determine_it():
    city = np.array([f"c{i % 20}" for i in range(N)], dtype=object)
    assert determines(city, np.arange(N) % 20 % 2)
    # A value for each row determines anything.
    assert not determines(RNG.permutation(N), np.arange(N) % 2)


@pytest.mark.parametrize(
    "text",
    ["2020-01-02", "2020-01-02T10:00:00Z", "01/02/2020 10:00", "3 Jan 2020", "Jan 3, 2020", "2.1.20", "2-Feb-2013"],
)
def test_dates_are_recognised(text):
    assert are_dates([text])


@pytest.mark.parametrize("text", ["192.168.1.1", "5-10", "2020", "1.2.3.4", "may", "10115", ""])
def test_other_texts_are_not_dates(text):
    assert not are_dates([text])


# -- warnings of fit about columns -------------------------------------------------------------------------


def untrained(**params):
    small = {"encoder": "mlp", "encoder_params": {"width": 4, "n_layers": 1}}
    return ContrastiveEmbedder(max_epochs=0, random_state=0, **small, **params)


def frame_of(*names):
    return pd.DataFrame({name: COLUMNS[name] for name in names})


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_fit_warns_once_of_all_columns_that_are_not_features(make, stored):
    X = make({name: COLUMNS[name] for name in ("id", "day", "x", "kind", "one")})
    embedder = untrained()
    with pytest.warns(UserWarning, match=r"'id' \(text that differs.*'day' \(dates") as caught:
        embedder.fit(Stored(Blocks(X)) if stored else X)
    assert len(caught) == 1
    assert not any(name in str(caught[0].message) for name in ("'x'", "'kind'", "'one'"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder.transform(X)


class Blocks:
    """A DataFrame that is read ten rows at a time."""

    edges = np.arange(0, N + 1, 10)

    def __init__(self, frame):
        self.frame = frame

    def __len__(self):
        return N

    def __getitem__(self, rows):
        return self.frame.iloc[rows] if hasattr(self.frame, "iloc") else self.frame[rows]


@pytest.mark.parametrize(
    "column",
    [
        RNG.permutation(N),
        [f"u{i % 50}" for i in range(N)],
        [f"2020-{i}" if i % 2 else "later" for i in range(N)],
        pd.Categorical(RNG.permutation(N)),
    ],
    ids=["numbers", "fifty", "few_dates", "codes"],
)
def test_fit_does_not_mention_other_columns(column):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        untrained().fit(pd.DataFrame({"x": COLUMNS["x"], "c": column}))


def test_many_more_categories_than_are_kept_can_be_saved(tmp_path):
    n = 70_000
    X = pd.DataFrame({"x": np.arange(n) % 7.0, "c": [f"c{i % 66_000}" for i in range(n)]})
    with pytest.warns(UserWarning, match="differs in nearly every row"):
        embedder = untrained().fit(X)
    assert len(embedder.model_.modality.categories_.codes_[0]) == 2**16
    embedder.save(tmp_path / "e.skclr")
    assert np.array_equal(skclr.load(tmp_path / "e.skclr").transform(X[:99]), embedder.transform(X[:99]))


# -- what can be read, and what is refused ------------------------------------------------------------

A_DAY = datetime.date(2020, 1, 2)


def arrow(value, kind):
    return pd.array([value] * (N - 1) + [None], dtype=pd.ArrowDtype(kind))


def with_column(values):
    return pd.DataFrame({"x": COLUMNS["x"], "c": values})


def with_polars(value, dtype):
    return pl.DataFrame({"x": COLUMNS["x"], "c": pl.Series([value] * (N - 1) + [None], dtype=dtype)})


# A table with a column c, and whether that holds categories.
READ = {
    "object_na": (lambda: with_column(pd.Series([1.5, pd.NA] * (N // 2), dtype=object)), False),
    "decimals": (lambda: with_column([Decimal("1.5"), None] * (N // 2)), False),
    "large_string": (lambda: with_column(arrow("a", pa.large_string())), True),
    "string_view": (lambda: with_column(arrow("a", pa.string_view())), True),
    "dictionary": (lambda: with_column(arrow("a", pa.dictionary(pa.int8(), pa.large_string()))), True),
    "dictionary_of_numbers": (lambda: with_column(arrow(3, pa.dictionary(pa.int8(), pa.int64()))), False),
    "decimal128": (lambda: with_column(arrow(Decimal("1.5"), pa.decimal128(8, 2))), False),
    "decimal256": (lambda: with_column(arrow(Decimal("1.5"), pa.decimal256(50, 2))), False),
    "null": (lambda: with_column(arrow(None, pa.null())), False),
    "bool": (lambda: with_column(arrow(True, pa.bool_())), True),
    "float16": (lambda: with_column(arrow(np.float16(0.5), pa.float16())), False),
    "nullable_integer": (lambda: with_column(pd.array([1, None] * (N // 2), dtype="UInt8")), False),
    "nullable_boolean": (lambda: with_column(pd.array([True, None] * (N // 2), dtype="boolean")), True),
    "interval": (lambda: with_column(pd.cut(COLUMNS["x"], 3)), True),
    "polars_null": (lambda: with_polars(None, pl.Null), False),
    "polars_decimal": (lambda: with_polars(Decimal("1.5"), pl.Decimal(8, 2)), False),
    "polars_int128": (lambda: with_polars(3, pl.Int128), False),
    "polars_enum": (lambda: with_polars("a", pl.Enum(["a", "b"])), True),
    "polars_categorical": (lambda: with_polars("a", pl.Categorical), True),
    "polars_boolean": (lambda: with_polars(True, pl.Boolean), True),
    "arrow_table": (lambda: pa.table({"x": COLUMNS["x"], "c": COLUMNS["kind"]}), True),
    "dask_frame": (lambda: dd.from_pandas(frame_of("x", "kind").set_axis(["x", "c"], axis=1), npartitions=3), True),
}


@pytest.mark.parametrize("name", READ)
def test_columns_of_every_dtype_are_read(name):
    make, is_category = READ[name]
    embedder = untrained().fit(make())
    assert embedder.model_.modality.is_categorical_.tolist() == [False, is_category]
    assert embedder.feature_names_in_.tolist() == ["x", "c"]
    Z = embedder.transform(make())
    assert np.isfinite(np.asarray(Z.compute(scheduler="synchronous") if hasattr(Z, "compute") else Z)).all()


REFUSED = {
    "date": (lambda: with_column([A_DAY] * N), "'c'.*date"),
    "datetime64": (lambda: with_column(pd.date_range("2020", periods=N)), "'c'.*datetime64"),
    "timedelta": (lambda: with_column(pd.to_timedelta(range(N))), "'c'.*timedelta"),
    "period": (lambda: with_column(pd.period_range("2020", periods=N)), "'c'.*period"),
    "list": (lambda: with_column([[1, 2]] * N), "'c'.*list"),
    "arrow_date": (lambda: with_column(arrow(A_DAY, pa.date32())), "'c'.*date32"),
    "arrow_list": (lambda: with_column(arrow([1], pa.list_(pa.int64()))), "'c'.*list"),
    "arrow_binary": (lambda: with_column(arrow(b"a", pa.binary())), "'c'.*bytes"),
    "polars_date": (lambda: with_polars(A_DAY, pl.Date), "'c'.*Date"),
    "polars_struct": (lambda: with_polars({"a": 1}, pl.Struct({"a": pl.Int64})), "'c'.*Struct"),
    "lazy_frame": (lambda: pl.DataFrame(COLUMNS).lazy(), r"X\.collect\(\)"),
    "complex": (lambda: with_column(np.full(N, 1j)), "'c'"),
    "array_of_dates": (lambda: np.full((N, 2), "2020-01-02", dtype="datetime64[D]"), "datetime64"),
    "records": (lambda: np.zeros(N, dtype=[("a", float), ("b", float)]), "is not a table of numbers"),
    "cell_of_an_array": (lambda: np.array([[1.0, A_DAY]] * N, dtype=object), "row 0 of column 1"),
    "beyond_float": (lambda: [[10**400, 1]] * N, "row 0 of column 0, which is too large"),
    "beyond_float_in_a_frame": (lambda: with_column([1, 10**400] * (N // 2)), "row 1 of column 'c'"),
    "huge": (lambda: with_column([1e308, -1e308] * (N // 2)), "column 'c' of X .* Rescale"),
    "huge_array": (lambda: np.c_[COLUMNS["x"], np.full(N, 1e200)], "column 1 of X .* Rescale"),
    "texts": (lambda: pd.DataFrame({"t": COLUMNS["kind"]}), r"Pass X\['t'\], and set modality='text'"),
    "polars_texts": (lambda: pl.DataFrame({"t": COLUMNS["kind"]}), "modality='text'"),
    "array_of_texts": (lambda: np.array(COLUMNS["kind"], dtype=object)[:, None], r"X\[:, 0\].*modality='text'"),
    "strings": (lambda: np.array(COLUMNS["kind"])[:, None], "modality='text'"),
    "paths": (lambda: pd.DataFrame({"p": [f"{i}.png" for i in range(N)]}), "modality='image'"),
    "two_columns_of_texts": (lambda: np.array([COLUMNS["kind"]] * 2).T, "'categorical_features'"),
    "dictionaries": (lambda: [{"a": 1.0, "b": 2.0}] * N, r"pandas\.DataFrame\(X\)"),
    "generator": (lambda: (row for row in range(3)), r"generator.*list\(X\)"),
    "set": (lambda: {1, 2}, r"set.*list\(X\)"),
    "lists_in_lists": (lambda: [[1, [2, 3]], [1, 2]], "unequal lengths"),
    "series": (lambda: pd.Series(COLUMNS["x"]), "Series. Pass a DataFrame"),
    "single_value": (lambda: np.array(5.0), "one value"),
    "one_dimension": (lambda: np.ones(N), r"X of shape \(60,\) is not a table.*Reshape your data"),
    "no_columns": (lambda: pd.DataFrame(index=range(N)), r"0 feature\(s\)"),
    "unknown_length": (lambda: (lambda X: X[X[:, 0] > 0])(da.ones((N, 2), chunks=20)), "compute_chunk_sizes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_table_is_refused_by_name(name):
    make, message = REFUSED[name]
    embedder = untrained()
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}") as caught:
        embedder.fit(make())
    assert len(str(caught.value)) < 300
    assert type(caught.value) in (ValueError, TypeError)
    assert not vars(embedder).keys() - vars(untrained()).keys()


def test_an_object_that_gives_an_array_is_read_as_that():
    class Given:
        def __array__(self, dtype=None, copy=None):
            return np.column_stack([COLUMNS["x"], np.arange(N)])

    assert np.array_equal(untrained().fit(Given()).transform(Given()), untrained().fit_transform(np.asarray(Given())))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(["m"], [False, True, True]), ([2], [False, True, True]), ([False, True, False], [False, True, False])],
)
def test_named_columns_come_on_top_of_the_dtypes(chosen, expected):
    X = frame_of("x", "kind").assign(m=np.arange(N) % 3)
    embedder = untrained(modality_params={"categorical_features": chosen}).fit(X)
    assert embedder.model_.modality.is_categorical_.tolist() == expected


@pytest.mark.parametrize("chosen", [["zz"], [7], [-1], [True], 1, [[1], [1, 2]], [["x"]], [None]])
@pytest.mark.parametrize("make", [pd.DataFrame, lambda columns: np.column_stack(list(columns.values()))])
def test_columns_that_there_are_not_are_refused(chosen, make):
    X = make({"x": COLUMNS["x"], "m": np.arange(N) % 3})
    with pytest.raises(ValueError, match=r"categorical_features=.*(does not fit X of 2 columns|pass 'from_dtype')"):
        untrained(modality_params={"categorical_features": chosen}).fit(X)


def test_one_column_of_texts_is_read_as_the_error_says():
    texts = pd.DataFrame({"t": [f"text {i}" for i in range(N)]})
    params = {"modality": "text", "modality_params": {"tokenizer": "words"}, "max_epochs": 0}
    for X in (texts["t"], texts, texts.to_numpy(dtype=object)[:, 0]):
        assert ContrastiveEmbedder(**params).fit(X).modality_ == "text"


# -- dask ---------------------------------------------------------------------------------------------


def test_dask_frames_with_empty_partitions():
    X = frame_of("x", "kind")
    embedder = untrained().fit(X)
    lazy = dd.from_pandas(X, npartitions=4)
    few = lazy[lazy["x"] > X["x"].max() - 1e-9]
    expected = embedder.transform(X[X["x"] > X["x"].max() - 1e-9])
    Z = embedder.transform(few).compute(scheduler="synchronous")
    assert np.array_equal(Z, expected)
    assert Z.columns.tolist() == embedder.get_feature_names_out().tolist()
    fitted = untrained().fit(lazy[lazy["kind"] != "b"])
    assert fitted.feature_names_in_.tolist() == ["x", "kind"]
    with pytest.raises(ValueError, match="feature names"):
        embedder.transform(lazy.rename(columns={"x": "z"}))


def test_dask_arrays_with_empty_blocks():
    X = np.c_[COLUMNS["x"], np.arange(N)]
    lazy = da.from_array(X, chunks=(15, 2))
    with_gap = da.concatenate([lazy[:0], lazy[:30], lazy[:0], lazy[30:]])
    embedder = untrained().fit(with_gap)
    expected = untrained().fit(X).transform(X)
    assert np.array_equal(embedder.transform(with_gap).compute(scheduler="synchronous"), expected)
    late = lazy[lazy[:, 1] > 40]
    assert np.array_equal(embedder.transform(late).compute(scheduler="synchronous"), expected[41:])


def test_dask_columns_of_texts():
    texts = pd.Series([f"text {i}" for i in range(N)])
    lazy = dd.from_pandas(texts, npartitions=3)
    embedder = ContrastiveEmbedder(modality="text", modality_params={"tokenizer": "words"}, max_epochs=0).fit(lazy)
    assert np.array_equal(embedder.transform(lazy).compute(scheduler="synchronous"), embedder.transform(texts))


def test_unlabeled_is_named_and_may_be_sparse():
    X = np.random.default_rng(0).normal(size=(24, 3))
    embedder = ContrastiveEmbedder(max_epochs=1, random_state=0, passthrough=False)
    frame = pd.DataFrame(X, columns=list("abc"))
    for wrong in (frame[list("cba")], frame[["a"]], frame[:0]):
        with pytest.raises(ValueError, match="unlabeled does not fit X"):
            embedder.fit(frame, unlabeled=wrong)
    for one in (X, sparse.csr_array(X)):
        expected = embedder.fit(one, unlabeled=one).transform(X)
        for other in (X, sparse.csr_array(X)):
            np.testing.assert_allclose(embedder.fit(one, unlabeled=other).transform(X), expected, rtol=1e-4, atol=1e-5)
