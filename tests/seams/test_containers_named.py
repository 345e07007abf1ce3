"""What X is: containers of the same samples are the same, and what holds none is named, with the call that works."""

import array
import pathlib
from collections import UserDict, deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from skclr import ContrastiveEmbedder
from skclr.data import Rows
from skclr.data.sources import open_source
from skclr.modalities import MODALITIES, Series
from skclr.modalities.inferred import infer_modality

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 10, 14)).astype("uint8")
COLOURS = RNG.integers(0, 256, (12, 8, 9, 3)).astype("uint8")
SAMPLES = {
    "tabular": (RNG.normal(size=(12, 4)).astype("float32"), {}),
    "image": (COLOURS, {}),
    "grey": (GREY, {}),
    "series": (RNG.normal(size=(12, 2, 16)).astype("float32"), {}),
    "audio": (RNG.normal(size=(12, 900)).astype("float32"), {"sampling_rate": 8_000}),
}


def fit(X, modality="auto", **params):
    # Narrow, for speed.
    narrow = {"encoder_params": {"width": 8}, "max_epochs": 0, "random_state": 0}
    return ContrastiveEmbedder(modality=modality, modality_params=params, **narrow).fit(X)


def error_of(X, call=fit, **params):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(X, **params)
    message = str(caught.value)
    assert type(caught.value) in (ValueError, TypeError)
    assert len(message) < 300
    return message


# -- lists of pictures --------------------------------------------------------------------------------


def pictures(X, mode=None):
    image = pytest.importorskip("PIL.Image")
    return [image.fromarray(x, mode) for x in X] if mode else [image.fromarray(x) for x in X]


LISTS = {
    "list": list,
    "tuple": tuple,
    "series": lambda X: pd.Series(list(X)),
    "shuffled series": lambda X: pd.Series(list(X), index=RNG.permutation(len(X))),
    "column": lambda X: pd.DataFrame({"image": list(X), "y": 0})["image"],
    "objects": lambda X: pd.Series(list(X)).to_numpy(),
    "tensors": lambda X: [torch.from_numpy(x) for x in X],
    "tensors in a series": lambda X: pd.Series([torch.from_numpy(x) for x in X]),
    "pictures": pictures,
    "tuple of pictures": lambda X: tuple(pictures(X)),
    "series of pictures": lambda X: pd.Series(pictures(X)),
}


@pytest.mark.parametrize("container", LISTS)
@pytest.mark.parametrize("X", [GREY, COLOURS], ids=["grey", "colours"])
def test_lists_of_pictures_are_images(container, X):
    expected = fit(X)
    embedder = fit(LISTS[container](X))
    assert embedder.modality_ == expected.modality_ == "image"
    assert_array_equal(embedder.transform(LISTS[container](X)), expected.transform(X))
    assert_array_equal(expected.transform(LISTS[container](X)), expected.transform(X))


def test_a_list_of_square_pictures_is_images():
    """And no table of similarities, nor series."""
    square = GREY[:, :, :10]
    assert_array_equal(fit(list(square)).transform(list(square)), fit(square).transform(square))


def test_pictures_are_read_as_files_of_them():
    grey = fit(GREY)
    z = grey.transform(GREY > 127)
    assert_array_equal(grey.transform(np.where(GREY > 127, np.uint8(255), np.uint8(0))), z)
    assert_array_equal(grey.transform([picture.convert("1", dither=0) for picture in pictures(GREY)]), z)
    assert_array_equal(
        fit(COLOURS).transform([picture.convert("RGBA") for picture in pictures(COLOURS)]),
        fit(COLOURS).transform(COLOURS),
    )
    assert "more than 8 bits" in error_of(pictures(GREY.astype("int32")))


class Complex(Series):
    """Series of complex numbers, which no other modality takes."""

    told_by = "carrier"
    sample_types = (complex,)


def test_a_modality_says_itself_what_its_samples_are(monkeypatch):
    monkeypatch.setitem(MODALITIES, "complex", Complex)
    assert infer_modality([1j, 2j], {}) == "complex"
    assert infer_modality(RNG.normal(size=(6, 4)), {"carrier": 1.0}) == "complex"
    assert infer_modality(RNG.normal(size=(6, 4)), {}) == "tabular"


@pytest.mark.parametrize(("shape", "named"), [((10, 14), "series"), ((10, 10), None)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lists_of_floats_are_what_an_array_of_them_is(shape, named, dtype):
    X = RNG.normal(size=(6, *shape)).astype(dtype)
    if named:
        assert infer_modality(list(X), {}) == infer_modality(X, {}) == named
    else:
        assert error_of(list(X)) == error_of(X)
        assert f"dtype {dtype}" in error_of(X)


def test_unequal_shapes():
    assert infer_modality([np.zeros((2, 5)), np.zeros((2, 7))], {}) == "series"
    assert infer_modality([np.zeros((5, 2)), np.zeros((7, 2))], {}) == "series"
    assert infer_modality([np.zeros((2, 5), "uint8"), np.zeros((2, 7), "uint8")], {}) == "series"
    assert "images of shapes (5, 9) in row 0 and (7, 8) in row 1" in error_of(
        [np.zeros((5, 9), "uint8"), np.zeros((7, 8), "uint8")]
    )


def test_series_that_are_time_first():
    X = [RNG.normal(size=(n, 3)) for n in (5, 9, 20)]
    assert "{'channel_axis': -1}" in error_of(X)
    assert "{'channel_axis': -1}" in error_of(X, modality="series")
    assert fit(X, channel_axis=-1).modality_ == "series"
    assert "channel_axis" not in error_of([np.zeros((2, 5)), np.zeros((3, 9))], modality="series")


def test_an_array_of_the_size_that_files_had(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path, picture in zip(paths, pictures(COLOURS), strict=True):
        picture.save(path)
    embedder = fit(paths, size=(8, 9))
    assert_array_equal(embedder.transform(COLOURS), embedder.transform(paths))
    assert_array_equal(embedder.transform(pictures(COLOURS)), embedder.transform(paths))
    assert "Resize" in error_of(COLOURS[:, 1:], call=embedder.transform)


# -- tuples -------------------------------------------------------------------------------------------


def n_views(X, paired=False):
    return Rows.of(X, paired=paired).n_views


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_tuple_of_paths_is_files(kind, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path, picture in zip(paths, pictures(COLOURS), strict=True):
        picture.save(path)
    embedder = fit(tuple(map(kind, paths)), modality="image")
    assert_array_equal(embedder.transform(tuple(map(kind, paths[:5]))), embedder.transform(paths[:5]))
    assert n_views((tmp_path, tmp_path)) == 2


SINGLE = {
    "zip of images": lambda: next(zip(*((x, 0) for x in COLOURS), strict=True)),
    "few images": lambda: tuple(COLOURS[:3]),
    "grey images": lambda: tuple(RNG.integers(0, 256, (40, 10, 14)).astype("uint8")),
    "tensors": lambda: tuple(torch.rand(12, 3, 8, 8)),
    "rows": lambda: tuple(SAMPLES["tabular"][0]),
    "rows of lists": lambda: tuple(SAMPLES["tabular"][0].tolist()),
    "series": lambda: tuple(SAMPLES["series"][0]),
    "nested tuples": lambda: tuple(tuple(map(tuple, sample)) for sample in SAMPLES["series"][0].tolist()),
    "ragged series": lambda: tuple(RNG.normal(size=(2, 5 + i)) for i in range(12)),
    "texts": lambda: tuple("abcdefghijkl"),
    "texts of numpy": lambda: tuple(np.array(list("abcdefghijkl"))),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_tuple_of_samples_is_a_list_of_them(name):
    X = SINGLE[name]()
    assert n_views(X) == 1
    params = {"tokenizer": "words"} if "texts" in name else {}
    assert_array_equal(fit(X, **params).transform(X), fit(list(X), **params).transform(list(X)))


VIEWS = {
    "tables": lambda n: (RNG.normal(size=(20, 5)),) * n,
    "series": lambda n: (RNG.normal(size=(20, 2, 16)),) * n,
    "images": lambda n: (RNG.random((20, 8, 9, 3)),) * n,
    "grey images": lambda n: (RNG.integers(0, 256, (20, 8, 9)).astype("uint8"),) * n,
    "frames": lambda n: (pd.DataFrame(RNG.normal(size=(20, 5))),) * n,
    "polars": lambda n: (pl.DataFrame(RNG.normal(size=(20, 5))),) * n,
    "texts": lambda n: (["a", "b", "c"] * 7,) * n,
    "arrays of texts": lambda n: (np.array(["a", "b", "c"] * 7),) * n,
    "columns of texts": lambda n: (pd.Series(["a", "b", "c"] * 7),) * n,
    "lists of series": lambda n: ([RNG.normal(size=(2, 5 + i)) for i in range(20)],) * n,
    "tensors": lambda n: (torch.rand(20, 5),) * n,
    "memory maps": lambda n: (np.zeros((20, 5)).view(np.memmap),) * n,
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_tuple_of_views_stays_one(name, n):
    assert n_views(VIEWS[name](n)) == n_views(VIEWS[name](n), paired=True) == n


@pytest.mark.parametrize(
    "X", [tuple(GREY[:, :, :13]), tuple(RNG.normal(size=(4, 3, 9))), tuple(RNG.random((9, 30, 30)))]
)
def test_a_tuple_that_could_be_either_is_refused(X):
    X = X[:9]
    message = error_of(X)
    assert "list(X)" in message
    assert "np.stack(X, 1)" in message
    assert n_views(X, paired=True) == len(X)


def test_samples_and_labels_in_one_tuple():
    for labels in (np.zeros(12), [0] * 12, pd.Series(["a"] * 12), torch.zeros(12)):
        for images in (COLOURS, list(COLOURS), torch.from_numpy(COLOURS), COLOURS[..., 0]):
            assert "fit(X[0], X[1])" in error_of((images, labels))
    assert "zip(*X)" in error_of([(x, 0) for x in COLOURS])


# -- torch --------------------------------------------------------------------------------------------

TENSORS = {
    "plain": lambda t: t,
    "gradient": lambda t: t.clone().requires_grad_() if t.is_floating_point() else t,
    "strided": lambda t: t.repeat_interleave(2, 0)[::2],
    "parameter": lambda t: torch.nn.Parameter(t, requires_grad=t.is_floating_point()),
    "conjugate": lambda t: torch.complex(t.float(), t.float()).conj().real if t.is_floating_point() else t,
}


# What a tensor is like does not depend on what it holds.
@pytest.mark.parametrize(
    ("modality", "kind"),
    [*((modality, "plain") for modality in SAMPLES), *(("series", kind) for kind in TENSORS if kind != "plain")],
)
def test_tensors_are_their_arrays(modality, kind):
    X, params = SAMPLES[modality]
    expected = fit(X, **params)
    tensor = TENSORS[kind](torch.from_numpy(X))
    embedder = fit(tensor, **params)
    assert embedder.modality_ == expected.modality_
    for Z in (tensor, list(tensor)):
        assert_array_equal(embedder.transform(Z), expected.transform(X))
        assert_array_equal(expected.transform(Z[:3]), expected.transform(X[:3]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int16, torch.uint16, torch.bool])
@pytest.mark.parametrize("modality", SAMPLES)
def test_tensors_of_any_dtype(modality, dtype):
    X, params = SAMPLES[modality]
    tensor = (torch.from_numpy(X) * (1 if X.dtype == "uint8" else 9)).to(dtype)
    array = tensor.float().numpy() if dtype == torch.bfloat16 else tensor.numpy()
    name = "image" if modality == "grey" else modality
    try:
        z = fit(array, name, **params).transform(array)
    except (ValueError, TypeError):
        error_of(tensor, modality=name, **params)
    else:
        assert_array_equal(fit(tensor, name, **params).transform(tensor), z)


@pytest.mark.parametrize("make", [lambda t: t.to_sparse(), lambda t: t.to("meta")])
def test_tensors_that_are_not_arrays(make):
    assert "X" in error_of(make(torch.rand(12, 4)))


# -- what holds no samples ----------------------------------------------------------------------------


class Images(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, row):
        return torch.from_numpy(COLOURS[int(row)]), 0


class Stream(IterableDataset):
    def __iter__(self):
        return iter(COLOURS)


class Nothing:
    pass


class HubDataset:
    """As the data sets of Hugging Face: rows and columns, and dictionaries as rows."""

    shape = (12, 2)
    column_names = ("a", "b")

    def __len__(self):
        return 12

    def __getitem__(self, rows):
        return {"a": [1.0] * 12, "b": [2.0] * 12}

    def to_pandas(self):
        return pd.DataFrame(self[:])


class Bag:
    """A collection without an order to index by."""

    def __len__(self):
        return 2

    def __iter__(self):
        return iter([1.0, 2.0])


NAMED = {
    "none": (lambda: None, "NoneType"),
    "number": (lambda: 3, "int"),
    "float": (lambda: 3.0, "float"),
    "numpy number": (lambda: np.float32(3), "float32"),
    "0-D array": (lambda: np.array(3.0), "0-D"),
    "0-D tensor": (lambda: torch.tensor(3.0), "0-D"),
    "text": (lambda: "a text", "Wrap it in a list"),
    "bytes": (lambda: b"a text", "bytes"),
    "bytearray": (lambda: bytearray(b"a text"), "bytearray"),
    "dict": (lambda: {"a": [1, 2]}, "pandas.DataFrame(X)"),
    "dict of arrays": (lambda: {"image": COLOURS}, "dict"),
    "user's dict": (lambda: UserDict(a=[1, 2]), "UserDict"),
    "list of dicts": (lambda: [{"a": 1, "b": 2}] * 4, "pandas.DataFrame(X)"),
    "set": (lambda: {1, 2, 3}, "list(X)"),
    "frozen set": (lambda: frozenset("abc"), "list(X)"),
    "keys": (lambda: {"a": 1, "b": 2}.keys(), "list(X)"),
    "values": (lambda: {"a": 1, "b": 2}.values(), "list(X)"),
    "generator": (lambda: (x for x in COLOURS), "list(X)"),
    "map": (lambda: map(str, range(4)), "list(X)"),
    "zip": (lambda: zip(COLOURS, strict=True), "list(X)"),
    "iterator": (lambda: iter([1, 2]), "list(X)"),
    "enumerate": (lambda: enumerate("ab"), "list(X)"),
    "loader": (lambda: DataLoader(torch.rand(12, 4)), "DataLoader"),
    "tensor data set": (lambda: TensorDataset(torch.rand(12, 4), torch.zeros(12)), "X.tensors[0]"),
    "data set": (Images, "np.stack([sample for sample, *_ in X])"),
    "subset": (lambda: Subset(Images(), [1, 2]), "np.stack"),
    "stream": (Stream, "Stream"),
    "data set of a hub": (HubDataset, "X.to_pandas()"),
    "collection": (Bag, "Bag"),
    "object": (Nothing, "Nothing"),
    "class": (lambda: Nothing, "type"),
    "function": (lambda: len, "builtin_function_or_method"),
    "list of generators": (lambda: [iter([1.0, 2.0])] * 3, "iterator"),
    "list of sets": (lambda: [{1.0, 2.0}] * 3, "set"),
    "list of objects": (lambda: [Nothing()] * 3, "Nothing"),
}


@pytest.mark.parametrize("modality", ["auto", "tabular", "image", "series", "audio", "text"])
@pytest.mark.parametrize("name", NAMED)
def test_what_holds_no_samples_is_named(name, modality):
    make, named = NAMED[name]
    message = error_of(make(), modality=modality, **({"sampling_rate": 8_000} if modality == "audio" else {}))
    assert message.startswith("X ")
    assert named in message


@pytest.mark.parametrize("name", ["generator", "loader", "dict", "none", "number", "object", "set"])
@pytest.mark.parametrize("call", ["transform", "make_views", "score", "partial_fit", "unlabeled"])
def test_no_call_takes_what_holds_no_samples(name, call):
    X, _ = SAMPLES["series"]
    embedder = fit(X)
    make, named = NAMED[name]
    method = (lambda other: embedder.fit(X, unlabeled=other)) if call == "unlabeled" else getattr(embedder, call)
    if (name, call) != ("none", "unlabeled"):
        assert named in error_of(make(), call=method)


@pytest.mark.parametrize("X", [deque(RNG.normal(size=(12, 4))), [array.array("d", [1.0, 2.0, 3.0])] * 4])
def test_other_sequences_of_rows(X):
    assert_array_equal(fit(X).transform(X), fit(np.array(X)).transform(np.array(X)))


class Arraylike:
    """What has numpy's protocol, and nothing else."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize("modality", SAMPLES)
@pytest.mark.parametrize("kind", [Arraylike, lambda X: memoryview(np.ascontiguousarray(X))])
def test_protocols_of_arrays(modality, kind):
    X, params = SAMPLES[modality]
    embedder = fit(kind(X), **params)
    assert_array_equal(embedder.transform(kind(X)), fit(X, **params).transform(X))


PATHS = {
    "": "pathlib.Path(X)",
    "a.parquet": "pathlib.Path(X)",
    "a.csv": "pandas.read_csv(X)",
    "a.npy": "np.load(X",
    "a.png": "[X]",
    "a.txt": "X",
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("modality", ["auto", "tabular", "image", "text"])
@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_path_says_how_to_give_it(name, modality, kind, tmp_path):
    path = tmp_path / name
    path.touch()
    if kind is str:
        assert PATHS[name] in error_of(str(path), modality=modality)
    elif name in ("a.csv", "a.npy", "a.png", "a.txt"):
        assert PATHS[name] in error_of(path, modality=modality)


@pytest.mark.parametrize("modality", ["auto", "image", "series", "tabular"])
@pytest.mark.parametrize("cells", [list, pictures, lambda X: [pathlib.Path("a.png")] * len(X)])
def test_a_frame_of_one_column_of_pictures(modality, cells):
    assert "X['image']" in error_of(pd.DataFrame({"image": cells(COLOURS)}), modality=modality)


def test_a_missing_text_in_a_list():
    assert "fillna" not in error_of(["a", None, "b"])
    assert "fillna('')" in error_of(pd.Series(["a", None, "b"]))


# -- masks --------------------------------------------------------------------------------------------


def masked(X, mask):
    return np.ma.masked_array(np.where(mask, X.dtype.type(99), X), mask=mask)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "uint8"])
@pytest.mark.parametrize("ragged", [False, True])
def test_masked_steps_of_a_series_are_missing(dtype, ragged):
    X = RNG.integers(1, 50, (12, 2, 16)).astype(dtype)
    mask = RNG.random(X.shape) < 0.2
    gaps = np.where(mask, np.nan, X)
    embedder = fit(gaps, "series")
    given = list(masked(X, mask)) if ragged else masked(X, mask)
    expected = embedder.transform(list(gaps) if ragged else gaps)
    assert_array_equal(embedder.transform(given), expected)
    assert_array_equal(
        fit(given, "series").transform(given), fit(list(gaps) if ragged else gaps, "series").transform(gaps)
    )


@pytest.mark.parametrize("modality", ["image", "grey", "audio"])
@pytest.mark.parametrize("container", [lambda X: X, list])
def test_masks_that_have_no_meaning_are_refused(modality, container):
    X, params = SAMPLES[modality]
    embedder = fit(X, **params)
    for mask in (RNG.random(X.shape) < 0.2, np.arange(X.size).reshape(X.shape) == 5):
        assert "filled(" in error_of(container(masked(X, mask)), call=embedder.transform)
        assert "filled(" in error_of(container(masked(X, mask)), call=lambda X: fit(X, **params))
    nothing = np.ma.masked_array(X, mask=False)
    assert_array_equal(embedder.transform(container(nothing)), embedder.transform(X))


# -- one scale ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "container"),
    [(np.dtype(code), np.asarray) for code in "?BbqHefd"]
    + [(dtype, container) for dtype in ("uint8", "float64", object) for container in (list, np.ndarray.tolist)],
)
def test_series_of_any_dtype_are_the_same(dtype, container):
    X = RNG.integers(0, 2 if np.dtype(dtype).kind == "b" else 100, (12, 2, 16)).astype("float32")
    expected = fit(X).transform(X)
    given = container(X.astype(dtype))
    if container is np.asarray:
        assert_array_equal(fit(X).transform(given), expected)
        assert_array_equal(fit(given, "series").transform(given), expected)
    else:
        assert_array_equal(fit(list(X)).transform(given), fit(list(X)).transform(list(X)))


@pytest.mark.parametrize("dtype", ["int16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("fitted_on", ["int16", "float32"])
def test_clips_of_another_dtype_are_on_one_scale(dtype, fitted_on):
    X = (RNG.normal(size=(6, 900)) * 3_000).astype("int16")
    as_dtype = {"int16": X, "int32": X.astype("int32") * 65_536}

    def given(dtype):
        return as_dtype[dtype] if dtype in as_dtype else (X / 32_768).astype(dtype)

    embedder = fit(given(fitted_on), sampling_rate=8_000)
    expected = embedder.transform(given(fitted_on))
    np.testing.assert_allclose(embedder.transform(given(dtype)), expected, atol=1e-2 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "uint16", "int8", "bool", object])
def test_clips_of_an_unknown_scale_are_refused(dtype):
    X, params = SAMPLES["audio"]
    assert "X has dtype" in error_of((X * 99).astype(dtype), **params)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, -1e300, 1e30])
@pytest.mark.parametrize("modality", ["audio", "series", "image"])
def test_values_beyond_float32(modality, value):
    X, params = SAMPLES[modality]
    X = X / 255 if modality == "image" else X
    embedder = fit(X, **params)
    wrong = X.astype("float64")
    wrong[(3, *([1] * (X.ndim - 1)))] = value
    if modality == "series" and (np.isnan(value) or value == 1e30):
        assert np.isfinite(embedder.transform(wrong)).all()
    else:
        error_of(wrong, call=embedder.transform)
        error_of(wrong, **params)


def test_opened_leaves_arrays_and_lists_of_arrays_alone():
    for X in (COLOURS, list(COLOURS), pd.DataFrame({"a": [1]}), ["a", "b"], [[1, 2], [3, 4]]):
        assert open_source(X) is X
