"""y means the same wherever it is given: by position, in any container, -1 and missing values unlabelled."""

import dask.array
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.data import encode_labels, encode_together
from skclr.training import row_groups

SHUFFLED = np.random.default_rng(1).permutation(60)
NAMES = np.array(["cat", "dog", "owl"])


def texts(y):
    """Class names, None where there is no label."""
    return [None if code == -1 else str(NAMES[code]) for code in y]


def numbers(y):
    return [None if code == -1 else int(code) for code in y]


# Ways in which users have the labels 0, 1, 2, of which -1 marks the unlabelled.
NUMBERS = {
    "array": np.asarray,
    "list": list,
    "tuple": tuple,
    "int8": lambda y: np.asarray(y, dtype=np.int8),
    "float with NaN": lambda y: np.where(y == -1, np.nan, y),
    "column": lambda y: np.asarray(y)[:, None],
    "nested list": lambda y: np.asarray(y)[:, None].tolist(),
    "masked array": lambda y: np.ma.masked_equal(np.where(y == -1, 9, y), 9),
    "list with None": numbers,
    "list of numpy scalars": lambda y: [*np.asarray(y, dtype=np.float32)],
    "shuffled Series": lambda y: pd.Series(y, index=SHUFFLED[: len(y)]),
    "nullable Series": lambda y: pd.Series(numbers(y), dtype="Int64"),
    "Arrow Series": lambda y: pd.Series(numbers(y), dtype="int64[pyarrow]"),
    "categorical of numbers": lambda y: pd.Series(numbers(y), index=SHUFFLED[: len(y)], dtype="category"),
    "DataFrame": lambda y: pd.DataFrame({"y": y}, index=SHUFFLED[: len(y)]),
    "polars": lambda y: pl.Series(numbers(y)),
    "polars DataFrame": lambda y: pl.DataFrame({"y": y}),
    "tensor": torch.tensor,
    "list of tensors": lambda y: [*torch.tensor(y)],
    "dask": lambda y: dask.array.from_array(y, chunks=7),
    "Arrow array": lambda y: pa.array(numbers(y)),
}
STRINGS = {
    "object array with -1": lambda y: np.array([-1 if name is None else name for name in texts(y)], dtype=object),
    "list with -1": lambda y: [-1 if name is None else name for name in texts(y)],
    "list with -1.0": lambda y: [-1.0 if name is None else name for name in texts(y)],
    "strings with '-1'": lambda y: np.array(["-1" if name is None else name for name in texts(y)]),
    "list with NaN": lambda y: [float("nan") if name is None else name for name in texts(y)],
    "list with NA and NaT": lambda y: [
        [pd.NA, pd.NaT][i % 2] if name is None else name for i, name in enumerate(texts(y))
    ],
    "Series of str": lambda y: pd.Series(texts(y), index=SHUFFLED[: len(y)], dtype="str"),
    "categorical": lambda y: pd.Series(texts(y), index=SHUFFLED[: len(y)], dtype="category"),
    "Categorical": lambda y: pd.Categorical(texts(y), categories=[*reversed(NAMES), "never"]),
    "polars strings": lambda y: pl.Series(texts(y)),
    "polars Categorical": lambda y: pl.Series(texts(y), dtype=pl.Categorical),
}
CONTAINERS = {**NUMBERS, **STRINGS}


@pytest.fixture(scope="module")
def partly(table):
    """A table in which every third row has no label."""
    X, y = table
    return X, np.where(np.arange(60) % 3 == 0, -1, y), y


# -- the helper -----------------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_codes(partly, container):
    _, y, _ = partly
    labels = encode_labels(CONTAINERS[container](y), n_samples=60)
    assert_array_equal(labels.codes, y)
    assert_array_equal(labels.classes, NAMES if container in STRINGS else [0, 1, 2])
    assert labels.classes.dtype.kind in ("U" if container in STRINGS else "if")


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.array([0, 1, -1], dtype=np.int16), "i"),
        (np.array([True, False]), "b"),
        ([True, False, -1], "b"),
        (pd.Series([0, 1, None], dtype="Int64"), "i"),
        (["a", "b", -1], "U"),
        (np.array([b"a", b"b", b"-1"]), "S"),
    ],
)
def test_classes_keep_the_type_of_the_labels(y, kind):
    labels = encode_labels(y)
    assert labels.classes.dtype.kind == kind
    assert len(labels.classes) == 2


@pytest.mark.parametrize(
    "y",
    [
        [-1, 1, 1],
        np.array([-1.0, 1.0]),
        ["-1", "1"],
        [-1, "yes"],
        pd.Series([-1, 1, None], dtype="Int64"),
        pl.Series([-1, 0]),
        torch.tensor([-1, 1]),
        [True, -1],
    ],
)
def test_minus_one_and_one_class_are_refused(y):
    with pytest.raises(ValueError, match=r"y contains -1 \(unlabelled\) and one class. Recode two classes as 0 and 1"):
        encode_labels(y)


@pytest.mark.parametrize("y", [[1, 1, None], ["a", float("nan")], [-1, -1], [None, -1]])
def test_one_class_and_missing_values_are_not_a_coding_of_two(y):
    assert len(encode_labels(y).classes) <= 1


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ("r.html", TypeError, "y is a str. Pass an array"),
        (3, TypeError, "y is a int"),
        ({0, 1}, TypeError, "y is a set"),
        ({"a": 1}, TypeError, "y is a dict"),
        ((i for i in range(3)), TypeError, "y is a generator"),
        (None, TypeError, "y is a NoneType"),
        (np.array(3), TypeError, "y is a single value"),
        (torch.tensor(3), TypeError, "y is a single value"),
        (sparse.eye_array(3), TypeError, "y is a sparse matrix"),
        ([[0, 1], [1, 0], [1, 1]], ValueError, "y has 2 columns"),
        (np.zeros((3, 2, 2)), ValueError, r"y has shape \(3, 2, 2\)"),
        (pd.DataFrame({"a": [0], "b": [1]}), ValueError, "y has 2 columns"),
        ([[0], [1, 2], []], TypeError, "y holds a list"),
        ([torch.ones(2), torch.ones(2)], TypeError, "y holds a Tensor"),
        ([{}, {}], TypeError, "y holds a dict"),
        ([0, "a", 1], TypeError, "y mixes labels of types int, str"),
        ([0.5, 1, 2], ValueError, "continuous.*y contains 0.5.*KBinsDiscretizer"),
        (pd.Series([0.5, None, 1], dtype="Float64"), ValueError, "continuous"),
        (pl.Series([0.25, None]), ValueError, "continuous"),
        ([0, float("inf")], ValueError, "infinity"),
        (np.array([1j, 2]), ValueError, "Complex data not supported: y has dtype complex128"),
        (np.array(["a", "nan", "b"]), ValueError, "y contains the text 'nan'"),
    ],
)
def test_what_are_not_labels(y, error, message):
    with pytest.raises(error, match=message) as raised:
        encode_labels(y)
    assert len(str(raised.value)) < 300


def test_labels_encoded_together_share_their_classes():
    train, test = encode_together(y_train=["owl", "cat", -1], y_test=pd.Series(["dog", "cat"], index=[5, 3]))
    assert_array_equal(train.classes, NAMES)
    assert_array_equal(train.codes, [2, 0, -1])
    assert_array_equal(test.codes, [1, 0])
    with pytest.raises(TypeError, match="y_train and y_test mixes labels of types int, str"):
        encode_together(y_train=[0, 1], y_test=["a", "b"])


# -- fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
def test_positives_by_labels(partly, container):
    _, y, _ = partly
    expected = np.equal.outer(y, y) & (y != -1) | np.eye(60, dtype=bool)
    ids = row_groups(60, CONTAINERS[container](y))
    assert_array_equal((ids[:, None] == ids).numpy(), expected)


@pytest.mark.parametrize("container", ["list with -1", "polars strings", "categorical"])
def test_fit_takes_labels_as_they_are(partly, quick, container):
    X, y, _ = partly
    embedder = quick(positives="labels", max_epochs=1)
    expected = embedder.fit(X, y).transform(X)
    assert_array_equal(embedder.fit(X, CONTAINERS[container](y)).transform(X), expected)


@pytest.mark.parametrize(
    "y",
    [
        sparse.csr_array(np.eye(60, dtype=int)),
        np.eye(60),
        [[0], [1, 2]] * 30,
        [None] * 60,
        np.linspace(0, 1, 60),
        5,
        torch.zeros(60, 3),
        pd.DataFrame({"a": range(60), "b": range(60)}),
        [-1, 1] * 30,
    ],
    ids=lambda y: type(y).__name__,
)
def test_an_ignored_y_may_be_anything(table, quick, y):
    X, _ = table
    embedder = quick(max_epochs=0)
    assert_array_equal(embedder.fit(X, y).transform(X), quick(max_epochs=0).fit_transform(X))


def test_an_ignored_y_has_a_value_per_row(table, quick):
    with pytest.raises(ValueError, match="y has 59 values, but X has 60 rows"):
        quick().fit(table[0], sparse.csr_array(np.eye(59)))


def test_sparse_multilabel_targets_pass_through_a_pipeline(table):
    X, y = table
    targets = sparse.csr_array(np.eye(3, dtype=int)[y])
    pipe = make_pipeline(ContrastiveEmbedder(max_epochs=0, random_state=0), OneVsRestClassifier(LogisticRegression()))
    assert pipe.fit(X, targets).predict(X).shape == (60, 3)


# -- SemiSupervisedClassifier ---------------------------------------------------------------------


# For columns scikit-learn requires a DataConversionWarning.
@pytest.mark.parametrize(
    "container", [name for name in CONTAINERS if name not in ("column", "DataFrame", "polars DataFrame")]
)
def test_a_classifier_learns_the_same_from_every_container(partly, container):
    X, y, truth = partly
    model = SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=0, random_state=0), NearestCentroid())
    predicted = model.fit(X, CONTAINERS[container](y)).predict(X)
    # The clusters lie far from each other.
    assert_array_equal(predicted, NAMES[truth] if container in STRINGS else truth)


def test_a_column_of_labels_warns_as_scikit_learn_does(partly):
    X, y, _ = partly
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=0)).fit(X, y[:, None])


@pytest.mark.parametrize("y", [[-1, 1] * 30, ["yes", -1] * 30])
def test_two_classes_coded_as_minus_one_and_one_are_refused_before_training(table, y):
    model = SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=0))
    with pytest.raises(ValueError, match=r"y contains -1 \(unlabelled\) and one class. Recode"):
        model.fit(table[0], y)
    assert not hasattr(model, "embedder_")


@pytest.mark.parametrize("unlabelled", [-1, None, "-1"])
@pytest.mark.parametrize("kind", [str, bytes, object])
def test_score_leaves_unlabelled_rows_out(unlabelled, kind):
    X = np.random.default_rng(0).normal(size=(30, 3)) + 9 * (np.arange(30) % 2)[:, None]
    names = {str: ("no", "yes"), bytes: (b"no", b"yes"), object: (10**20, 10**20 + 7)}[kind]
    y = [names[i % 2] for i in range(30)]
    model = SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=0, random_state=0)).fit(X, y)
    if kind is object and unlabelled == "-1":
        unlabelled = -1
    partly = [label if i % 3 else unlabelled for i, label in enumerate(y)]
    wrong = [names[(i + 1) % 2] if i % 3 else unlabelled for i in range(30)]
    assert model.score(X, y) == model.score(X, partly) == 1
    assert model.score(X, wrong) == 0
    assert model.score(X, y, sample_weight=np.arange(30)) == 1
    with pytest.raises(ValueError, match="no labelled row"):
        model.score(X, [-1] * 30)
