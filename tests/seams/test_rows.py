"""Rows: for every container, length, rows taken, spread, blocks and views are those of the plain array."""

import pathlib

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, diagnose
from skclr.data import Rows
from skclr.part_choices import shows_given
from skclr.plotting import EmbeddingDisplay, NeighborsDisplay, SimilarityDisplay, ViewsDisplay
from skclr.views import VIEWS, Paired
from tests.data.test_stored import HDF5, Zarr, on_disk

N = 12
VALUES = np.arange(3.0 * N).reshape(N, 3)
FRAME = pd.DataFrame(VALUES, columns=["a", "b", "c"], index=range(100, 100 + N))


class OnDisk:
    """Rows of a user's own that take growing index arrays, and are never in memory."""

    def __init__(self, values):
        self.values = values
        self.read = []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.read += rows.tolist()
        return self.values[rows]


def parquet(values, folder):
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(folder / "X.parquet", row_group_size=5)
    return folder / "X.parquet"


def memmap(values, folder):
    np.save(folder / "X.npy", values)
    return np.load(folder / "X.npy", mmap_mode="r")


CONTAINERS = {
    "array": lambda values, folder: values,
    "fortran": lambda values, folder: np.asfortranarray(values),
    "list": lambda values, folder: values.tolist(),
    "list of arrays": lambda values, folder: list(values),
    "tuple of rows": lambda values, folder: tuple(values.tolist()),
    "tensor": lambda values, folder: torch.from_numpy(values),
    "frame": lambda values, folder: FRAME,
    "polars": lambda values, folder: pytest.importorskip("polars").DataFrame(FRAME.to_dict("list")),
    "csr": lambda values, folder: sparse.csr_matrix(values),
    "coo": lambda values, folder: sparse.coo_array(values),
    "memmap": memmap,
    "hdf5": lambda values, folder: HDF5(values),
    "zarr": lambda values, folder: Zarr(values),
    "dask": lambda values, folder: pytest.importorskip("dask.array").from_array(values, chunks=(5, *values.shape[1:])),
    "parquet": parquet,
    "object": lambda values, folder: OnDisk(values),
    "Rows": lambda values, folder: Rows.of(values),
}
INDICES = {
    "shuffled": np.array([7, 0, 11, 3]),
    "repeated": np.array([2, 2, 0]),
    "negative": np.array([-1, 0]),
    "mask": VALUES[:, 0] % 2 == 0,
    "none": np.array([], dtype=int),
    "slice": slice(2, 7),
    "step": slice(None, None, 5),
}


# Sources that stay on disk if they are large.
ON_DISK = ["memmap", "hdf5", "zarr", "dask", "parquet", "object"]
OF_MANY = " of many rows"


def hold(name, values, folder):
    """Return a container of the values, with the suffix as if it were too large to be read at once."""
    X = CONTAINERS[name.removesuffix(OF_MANY)](values, folder)
    return on_disk(X) if name.endswith(OF_MANY) else X


def and_of_many(containers):
    return [*containers, *(name + OF_MANY for name in containers if name in ON_DISK)]


@pytest.fixture(params=and_of_many(CONTAINERS))
def rows(request, tmp_path):
    return Rows.of(hold(request.param, VALUES, tmp_path))


def values(rows):
    """The numbers of all rows, whatever holds them."""
    X = rows[:].single()
    return np.asarray(X.toarray() if sparse.issparse(X) else X).reshape(len(rows), -1)


def test_rows_are_those_of_the_array(rows):
    assert (len(rows), rows.n_views) == (N, 1)
    assert_array_equal(values(rows), VALUES)


@pytest.mark.parametrize("index", INDICES)
def test_taking_rows(index, rows):
    taken = rows[INDICES[index]]
    expected = VALUES[INDICES[index]]
    assert len(taken) == len(expected)
    if len(expected):
        assert_array_equal(values(taken), expected)


def test_rows_beyond_the_end_are_an_error(rows):
    with pytest.raises(IndexError):
        rows[np.array([N])]


def test_spread_is_at_equal_steps(rows):
    assert rows.spread() is rows
    assert_array_equal(values(rows.spread(3)), VALUES[[0, 5, 11]])


def test_blocks_are_all_rows_in_their_order(rows):
    blocks = list(rows.blocks(5))
    assert [len(block) for block in blocks] == [5, 5, 2]
    assert_array_equal(np.concatenate([values(block) for block in blocks]), VALUES)


@pytest.mark.parametrize("container", and_of_many(sorted(CONTAINERS.keys() - {"Rows", "list", "tuple of rows"})))
def test_views_are_taken_together(container, tmp_path):
    X = hold(container, VALUES, tmp_path)
    pairs = Rows.of((X, X), paired=True)
    assert pairs.n_views == 2
    assert Rows.of(pairs) is pairs
    taken = pairs[np.array([4, 1])]
    for side in taken.sides:
        assert_array_equal(values(Rows([side])), VALUES[[4, 1]])
    assert_array_equal(values(taken.first), VALUES[[4, 1]])
    assert len(taken.as_given()) == 2
    with pytest.raises(ValueError, match="transform embeds one"):
        taken.single()


@pytest.mark.parametrize("container", and_of_many(["array", "tensor", "memmap", "hdf5", "zarr", "dask", "object"]))
def test_views_in_one_array(container, tmp_path):
    X = hold(container, np.stack([VALUES, -VALUES], 1), tmp_path)
    pairs = Rows.of(X, paired=True)
    assert (len(pairs), pairs.n_views) == (N, 2)
    assert_array_equal(pairs[2:5].sides[1], -VALUES[2:5])
    assert Rows.of(X).n_views == 1


def test_views_of_different_lengths():
    with pytest.raises(ValueError, match="X holds 2 views of 12, 5 samples"):
        Rows.of((FRAME, FRAME[:5]))


@pytest.mark.parametrize("X", [VALUES, Rows.of(VALUES)], ids=["array", "Rows"])
def test_one_view_where_several_are_shown(X):
    with pytest.raises(ValueError, match="views='paired' takes the views from X"):
        Rows.of(X, paired=True)


def test_rows_that_are_not_taken_are_not_read():
    X = OnDisk(VALUES)
    rows = Rows.of(on_disk(X))
    before = len(X.read)
    rows[np.array([3, 8])].single()
    assert X.read[before:] == [3, 8]


# -- who asks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_maker_says_whether_it_shows_what_is_given(name):
    assert shows_given(name) == shows_given(VIEWS[name]) == VIEWS[name].shows_given == (name == "paired")


@pytest.mark.parametrize("views", [None, "auto", "unknown", lambda x: x, 3])
def test_what_shows_nothing_given(views):
    assert not shows_given(views)
    assert shows_given(Paired())


VERBS = {
    "transform": lambda model, X: model.transform(X),
    "score": lambda model, X: model.score(X),
    "make_views": lambda model, X: np.stack(model.make_views(X)),
}


@pytest.fixture(scope="module")
def fitted():
    X = np.random.default_rng(0).normal(size=(40, 3))
    return X, ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X)


@pytest.mark.parametrize("verb", VERBS)
def test_estimators_take_rows_in_place_of_X(verb, fitted):
    X, model = fitted
    assert_array_equal(VERBS[verb](model, Rows.of(X)), VERBS[verb](model, X))


def test_rows_are_fitted_as_X_is(fitted):
    X, model = fitted
    again = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(Rows.of(X))
    assert_array_equal(again.transform(X), model.transform(X))
    again.partial_fit(Rows.of(X))
    classifier = SemiSupervisedClassifier(
        ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0)
    )
    assert classifier.fit(Rows.of(X), np.arange(40) % 2).predict(Rows.of(X)).shape == (40,)


def test_rows_are_embedded_into_a_file(fitted, tmp_path):
    X, model = fitted
    assert_array_equal(model.transform_to(tmp_path / "a.npy", Rows.of(X)), model.transform(X))


def test_displays_and_judges_take_rows(fitted):
    pytest.importorskip("matplotlib")
    X, model = fitted
    rows = Rows.of(pd.DataFrame(X))
    model = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(rows)
    for display in (EmbeddingDisplay, NeighborsDisplay, SimilarityDisplay, ViewsDisplay):
        display.from_estimator(model, rows)
    assert isinstance(diagnose(model, rows, np.arange(40) % 2), list)


def test_a_path_is_opened_once(fitted, tmp_path):
    pytest.importorskip("pyarrow")
    X, _ = fitted
    pd.DataFrame(X, columns=list("abc")).to_parquet(tmp_path / "X.parquet")
    rows = Rows.of(pathlib.Path(tmp_path / "X.parquet"))
    (tmp_path / "X.parquet").unlink()
    assert len(rows) == 40
