"""A row's numbers depend on `fit` and on that row alone, whatever its container and the other rows."""

import warnings
from decimal import Decimal

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skclr import ContrastiveEmbedder

N = 24
X1 = np.random.default_rng(0).normal(size=N)


def column(*values):
    """Repeat values to N rows."""
    return [values[i % len(values)] for i in range(N)]


def untrained(**params):
    """Make an embedder that reads as any other, with a small network."""
    return ContrastiveEmbedder(
        encoder="mlp", encoder_params={"width": 4, "n_layers": 1}, max_epochs=0, random_state=0, **params
    )


def frame(values, dtype=object):
    return pd.DataFrame({"x": X1, "c": pd.Series(values, dtype=dtype)})


# Columns that fit may see: values and dtype.
SEEN = {
    "object_mixed": (column(1, 2, "A", 3), object),
    "object_numbers": (column(10115, 20095, 80331, None), "category"),
    "strings": (column("01", "1", "b", None), "str"),
    "digits": (column("1", "2", "3"), "str"),
    "decimal_strings": (column("1.0", "2.5", "x"), object),
    "booleans": (column(True, False), bool),
    "booleans_with_gaps": (column(True, None, False), "boolean"),
    "integers": (column(1, 2, 3), "category"),
    "floats": (column(0.5, 1.0, 2.0), "category"),
    "categories": (column("red", "green", "blue"), "category"),
    "bools_and_text": (column(True, False, "maybe"), object),
    "bools_and_numbers": (column(True, 0, 7, None), object),
    "wide_integers": (column(2**53, 2**53 + 1, 5), "category"),
}
# Values that a cell may have later.
CELLS = [1, 1.0, "1", "1.0", "01", True, "True", "true", 10115, "10115", 10115.0, "A", "red", "unknown", 2**53 + 1]
CELLS += [None, np.nan, pd.NA, Decimal("0.5"), np.float32(0.5), np.int8(3), np.bool_(False), "0.5", " 2 ", "", "nan"]
CELLS += [10**400, (1, 2), pd.Timestamp("2020-01-02"), "None", b"red", float("inf")]


@pytest.fixture(scope="module")
def fitted():
    """Fit once on each column."""
    embedders = {}
    for name, (values, dtype) in SEEN.items():
        params = {"categorical_features": ["c"]} if dtype == "category" else {}
        embedders[name] = untrained(modality_params=params).fit(frame(values, dtype))
    return embedders


def transformed(embedder, X):
    with warnings.catch_warnings():
        # A few rows may hold nothing that fit saw, and then a warning says so.
        warnings.filterwarnings("ignore", "no value of column")
        return embedder.transform(X)


@pytest.mark.parametrize("seen", SEEN)
def test_each_row_alone_equals_it_among_others(fitted, seen):
    values = [*CELLS, *SEEN[seen][0]]
    X = pd.DataFrame({"x": np.linspace(-1, 1, len(values)), "c": pd.Series(values, dtype=object)})
    whole = transformed(fitted[seen], X)
    assert_array_equal(np.concatenate([transformed(fitted[seen], X[i : i + 1]) for i in range(len(X))]), whole)
    rng = np.random.default_rng(0)
    for size in (2, 5, len(X)):
        rows = rng.permutation(len(X))[:size]
        assert_array_equal(transformed(fitted[seen], X.iloc[rows]), whole[rows])


@pytest.mark.parametrize("seen", SEEN)
def test_blocks_and_files_equal_the_whole(fitted, seen, tmp_path):
    values = [value for value in CELLS if value is None or isinstance(value, str)]
    X = pd.DataFrame({"x": np.linspace(-1, 1, len(values)), "c": pd.Series(values, dtype=object)})
    whole = transformed(fitted[seen], X)
    lazy = dd.from_pandas(X, npartitions=4)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no value of column")
        assert_array_equal(fitted[seen].transform(lazy).compute(scheduler="synchronous").to_numpy(), whole)
        assert_array_equal(fitted[seen].transform_to(tmp_path / "z.npy", X), whole)


def as_polars(values, dtype):
    return pl.DataFrame({"x": X1, "c": pl.Series(values, dtype=dtype, strict=False)})


def as_arrow(values, kind):
    return frame(pd.array(values, dtype=pd.ArrowDtype(kind)), None)


# The same values of one column in other containers and dtypes.
SAME = {
    "digits": {
        "object": lambda: frame(column("1", "2", "3")),
        "integers": lambda: frame(column(1, 2, 3), "int64"),
        "small_integers": lambda: frame(column(1, 2, 3), "int8"),
        "floats": lambda: frame(column(1.0, 2.0, 3.0), "float32"),
        "nullable": lambda: frame(column(1, 2, 3), "Int64"),
        "category": lambda: frame(column("3", "2", "1")[::-1], "category"),
        "large_string": lambda: as_arrow(column("1", "2", "3"), pa.large_string()),
        "string_view": lambda: as_arrow(column("1", "2", "3"), pa.string_view()),
        "dictionary": lambda: as_arrow(column("1", "2", "3"), pa.dictionary(pa.int8(), pa.string())),
        "polars": lambda: as_polars(column("1", "2", "3"), pl.String),
        "polars_enum": lambda: as_polars(column("1", "2", "3"), pl.Enum(["1", "2", "3"])),
        "polars_categorical": lambda: as_polars(column("1", "2", "3"), pl.Categorical),
        "polars_integers": lambda: as_polars(column(1, 2, 3), pl.UInt8),
    },
    "integers": {
        "object": lambda: frame(column(1, 2, 3)),
        "integers": lambda: frame(column(1, 2, 3), "uint16"),
        "floats": lambda: frame(column(1, 2, 3), "float16"),
        "strings": lambda: frame(column("1", "2", "3"), "str"),
        "float_strings": lambda: frame(column("1.0", "2.0", "3.0"), "string"),
        "decimal": lambda: as_arrow(column(Decimal(1), Decimal(2), Decimal(3)), pa.decimal128(10, 2)),
        "arrow": lambda: as_arrow(column(1, 2, 3), pa.int32()),
        "polars_decimal": lambda: as_polars(column(Decimal(1), Decimal(2), Decimal(3)), pl.Decimal(10, 1)),
        "array": lambda: np.column_stack([X1, column(1, 2, 3)]),
        "object_array": lambda: frame(column(1, 2, 3)).to_numpy(),
        "list": lambda: frame(column("1", "2", "3")).to_numpy().tolist(),
    },
    "booleans": {
        "object": lambda: frame(column(True, False)),
        "integers": lambda: frame(column(1, 0), "int64"),
        "strings": lambda: frame(column("True", "False"), "str"),
        "lower_case": lambda: frame(column("true", "false"), "str"),
        "nullable": lambda: frame(column(True, False), "boolean"),
        "arrow": lambda: as_arrow(column(True, False), pa.bool_()),
        "polars": lambda: as_polars(column(True, False), pl.Boolean),
    },
}


@pytest.mark.parametrize(("seen", "other"), [(seen, other) for seen, others in SAME.items() for other in others])
def test_the_same_values_in_another_container_give_the_same_numbers(fitted, seen, other):
    X = SAME[seen][other]()
    with warnings.catch_warnings():
        # scikit-learn's own, of a frame in fit and an array here.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        Z = fitted[seen].transform(X)
    assert_array_equal(Z, fitted[seen].transform(frame(*SEEN[seen])))


# -- columns of numbers -------------------------------------------------------------------------------

NUMBERS = {
    "strings": lambda v: pd.Series(list(map(str, v)), dtype="str"),
    "objects": lambda v: pd.Series([v[0], str(v[1]), *v[2:]], dtype=object),
    "decimals": lambda v: pd.Series(list(map(Decimal, v)), dtype=object),
    "arrow_decimals": lambda v: pd.array(list(map(Decimal, v)), dtype=pd.ArrowDtype(pa.decimal128(20, 4))),
    "nullable": lambda v: pd.array(v, dtype="Float64"),
    "arrow": lambda v: pd.array(v, dtype=pd.ArrowDtype(pa.float64())),
    "category": lambda v: pd.Categorical(v),
    "text_category": lambda v: pd.Categorical(list(map(str, v))),
    "large_string": lambda v: pd.array(list(map(str, v)), dtype=pd.ArrowDtype(pa.large_string())),
}
VALUES = [float(i) / 4 for i in range(N)]


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_in_another_column_give_the_same_numbers(kind):
    X = pd.DataFrame({"x": X1, "n": VALUES})
    embedder = untrained().fit(X)
    other = X.assign(n=NUMBERS[kind](VALUES))
    Z = embedder.transform(X)
    assert_array_equal(embedder.transform(other), Z)
    assert_array_equal(np.concatenate([embedder.transform(other[i : i + 1]) for i in range(N)]), Z)


GAPS = {
    "object": lambda v: pd.Series([None if np.isnan(x) else x for x in v], dtype=object),
    "object_na": lambda v: pd.Series([pd.NA if np.isnan(x) else x for x in v], dtype=object),
    "nullable": lambda v: pd.array([pd.NA if np.isnan(x) else x for x in v], dtype="Float64"),
    "masked": lambda v: np.ma.masked_invalid(v),
    "arrow": lambda v: pd.array([None if np.isnan(x) else x for x in v], dtype=pd.ArrowDtype(pa.float64())),
}


@pytest.mark.parametrize("kind", GAPS)
@pytest.mark.parametrize("in_fit", [True, False])
def test_gaps_are_gaps_however_they_are_written(kind, in_fit):
    values = np.array(VALUES)
    values[::5] = np.nan
    plain = pd.DataFrame({"x": X1, "n": values})
    if kind == "masked":
        other = np.ma.column_stack([X1, GAPS[kind](values)])
        other.data[other.mask] = 9999.0
        plain = plain.to_numpy()
    else:
        other = plain.assign(n=GAPS[kind](values))
    embedder = untrained()
    expected = embedder.fit(plain).transform(plain)
    assert_array_equal((embedder.fit(other) if in_fit else embedder).transform(other), expected)


def test_masked_integers_and_categories_are_gaps():
    X = np.ma.array(np.arange(2 * N).reshape(N, 2) % 7, mask=np.arange(2 * N).reshape(N, 2) % 5 == 0)
    gaps = X.astype(float).filled(np.nan)
    for params in ({}, {"categorical_features": [1]}):
        embedder = untrained(modality_params=params)
        assert_array_equal(embedder.fit(X).transform(X), embedder.fit(gaps).transform(gaps))


# -- what is said -------------------------------------------------------------------------------------


def test_transform_names_a_column_of_which_fit_saw_no_value():
    X = frame(column("red", "green"), "str").assign(d=column("a", "b"))
    embedder = untrained().fit(X)
    with pytest.warns(UserWarning, match="no value of columns 'c', 'd'") as caught:
        embedder.transform(X.assign(c="rouge", d=3))
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="no value of column 'c'"):
        embedder.transform(X.assign(c=column("rouge", None)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder.transform(X.assign(c=None))
        embedder.transform(X.assign(c=["red"] + ["rouge"] * (N - 1)))
        # One row is served alone: that its category is new says nothing of the column.
        embedder.transform(X.assign(c="rouge")[:1])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (column("1", "heavy"), "'heavy' in row 1 of column 'n'"),
        (column(1.0, (2, 3)), r"\(2, 3\) in row 1 of column 'n'"),
        (pd.Series(column(1.0, pd.Timestamp("2020-01-02")), dtype=object), "Timestamp.* in row 1 of column 'n'"),
        (pd.Series(pd.date_range("2020", periods=N)), "column 'n'"),
        (pd.Series(column(1.0, 10**400), dtype=object), "row 1 of column 'n'"),
        (column("a", "b"), "'a' in row 0 of column 'n'"),
    ],
)
def test_a_column_of_another_kind_is_an_error_that_names_it(cells, message):
    X = pd.DataFrame({"x": X1, "n": VALUES})
    embedder = untrained().fit(X)
    with pytest.raises((ValueError, TypeError), match=message):
        embedder.transform(X.assign(n=cells))
