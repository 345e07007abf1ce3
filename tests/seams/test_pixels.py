"""Pixels keep the meaning that they had in `fit`: of the same values come the same numbers, or an error by range."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import skclr
from skclr import ContrastiveEmbedder
from skclr.data.stored import Joined
from skclr.modalities import Image
from skclr.model import InputFeatures
from tests.data.test_stored import on_disk

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (8, 6, 5, 3))
BYTES[0] = 0  # A black image, and one that is nearly black.
BYTES[1] = RNG.integers(0, 3, BYTES[1].shape)
VALUES = {
    "bytes": BYTES,
    "digits": RNG.integers(0, 17, BYTES.shape),
    "bits": RNG.integers(0, 2, BYTES.shape),
    "depth": RNG.integers(0, 60_000, BYTES.shape),
    "signed": RNG.integers(-100, 100, BYTES.shape),
    "unit": BYTES / np.float32(255),
    "standardized": RNG.normal(size=BYTES.shape).astype(np.float32),
}
DTYPES = ["bool", *("uint8", "int8", "uint16", "int16", "int32", "int64", ">i4"), *("float16", "float32", "float64")]
TESTED = [
    (name, dtype)
    for name, values in VALUES.items()
    for dtype in DTYPES
    if np.array_equal(values.astype(dtype), values) or (np.dtype(dtype).kind == "f" and values.dtype.kind == "f")
]


def fitted(X, **params):
    return ContrastiveEmbedder(max_epochs=0, random_state=0, encoder_params={"width": 4, "n_layers": 2}, **params).fit(
        X
    )


def differs_in_silence(embedder, X, expected):
    """Return whether X is silently embedded as something other than its values; our own errors are not silent."""
    try:
        return not np.array_equal(embedder.transform(X), expected)
    except ValueError as error:
        return "fit saw" not in str(error)


@pytest.mark.parametrize(("name", "dtype"), TESTED)
def test_the_same_values_of_another_dtype(name, dtype):
    embedder = fitted(VALUES[name].astype(dtype))
    expected = embedder.transform(VALUES[name].astype(dtype))
    others = [(other, VALUES[name].astype(other)) for n, other in TESTED if n == name]
    if VALUES[name].dtype.kind == "f":
        # Rounding does not count.
        others = [(other, X) for other, X in others if other == dtype or other == "float64" != dtype != "float16"]
    assert [other for other, X in others if differs_in_silence(embedder, X, expected)] == []
    if np.dtype(dtype).kind in "iu":
        X = VALUES[name].astype(dtype)
        for same in (X.tolist(), json.loads(json.dumps(X.tolist())), X.astype(object), list(X)):
            assert_array_equal(embedder.transform(same), expected)


# What fit has seen, what transform gets, and the factor that makes it the same; None is an error.
MEANINGS = {
    "pixels_of_any_integers": ("bytes", "uint8", lambda X: X.astype("int64"), 1),
    "pixels_as_floats": ("bytes", "uint8", lambda X: X.astype("float32"), None),
    "pixels_as_floats_64": ("bytes", "uint8", lambda X: X.astype("float64"), None),
    "divided_pixels": ("bytes", "uint8", lambda X: X / np.float32(255), 1),
    "stretched_pixels": ("bytes", "uint8", lambda X: X * np.int16(2), None),
    "negative_pixels": ("bytes", "uint8", lambda X: X.astype("int16") - 1, None),
    "deep_pixels": ("bytes", "uint8", lambda X: X.astype("uint16") * 257, None),
    "integers_as_floats": ("bytes", "int64", lambda X: X.astype("float64"), 1),
    "integers_as_uint8": ("bytes", "int64", lambda X: X.astype("uint8"), 1),
    "integers_divided": ("bytes", "int64", lambda X: X / 255, None),
    "unit_from_uint8": ("unit", "float32", lambda X: np.rint(X * 255).astype("uint8"), 1),
    "unit_from_int64": ("unit", "float32", lambda X: np.rint(X * 255).astype("int64"), None),
    "unit_from_floats": ("unit", "float32", lambda X: np.rint(X * 255), None),
    "digits_from_uint8": ("digits", "float64", lambda X: X.astype("uint8"), 1),
    "digits_from_int64": ("digits", "float64", lambda X: X.astype("int64"), 1),
    "digits_divided": ("digits", "float64", lambda X: X / 16, None),
    "digits_stretched": ("digits", "float64", lambda X: (X * 15).astype("uint8"), None),
    "floats_to_255_from_uint8": ("bytes", "float32", lambda X: X.astype("uint8"), 1),
    "floats_to_255_divided": ("bytes", "float32", lambda X: X / np.float32(255), None),
    "standardized_from_uint8": ("standardized", "float32", lambda X: (X * 20 + 128).clip(0, 255).astype("uint8"), None),
    "depth": ("depth", "uint16", lambda X: X.astype("int64"), 1),
    "depth_divided": ("depth", "uint16", lambda X: X / 65_535, None),
}


@pytest.mark.parametrize("case", MEANINGS)
@pytest.mark.parametrize("image_shape", [None, (6, 5, 3)])
def test_what_other_pixels_mean(case, image_shape):
    name, dtype, change, factor = MEANINGS[case]
    X = VALUES[name].astype(dtype)
    flat = (lambda images: images.reshape(len(images), -1)) if image_shape else (lambda images: images)
    embedder = fitted(flat(X), modality_params={"image_shape": image_shape} if image_shape else None)
    z = embedder.transform(flat(X))
    if factor is None:
        with pytest.raises(ValueError, match=r"^X has .* in row \d.*fit saw"):
            embedder.transform(flat(change(X)))
        # The estimator is as it was.
        assert_array_equal(embedder.transform(flat(X)), z)
    else:
        np.testing.assert_allclose(embedder.transform(flat(change(X))), z, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("container", [list, np.asarray, lambda X: X.tolist()])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64"])
def test_whole_numbers_are_the_same_fit(dtype, container):
    X = (BYTES % 128).astype(dtype)
    one = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X.astype("uint8"))
    other = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(container(X))
    assert_array_equal(other.transform(X), one.transform(X.astype("uint8")))


def test_a_row_is_judged_by_itself():
    embedder = fitted(BYTES.astype("uint8"))
    divided = BYTES / 255
    z = embedder.transform(divided)
    for row in range(len(divided)):
        assert_array_equal(embedder.transform(divided[row : row + 1])[0], z[row])
    mixed = divided.copy()
    mixed[5] = BYTES[5]
    with pytest.raises(ValueError, match="in row 5"):
        embedder.transform(mixed)


# -- everywhere that X is read ------------------------------------------------------------------------

READERS = {
    "transform": lambda e, X, folder: e.transform(X),
    "transform_to": lambda e, X, folder: e.transform_to(folder / f"{X.dtype}.npy", X),
    "make_views": lambda e, X, folder: np.stack(e.make_views(X)),
    "score": lambda e, X, folder: e.score(X),
    "partial_fit": lambda e, X, folder: skclr.load(folder / "model").partial_fit(X).transform(BYTES.astype("uint8")),
    "transfer": lambda e, X, folder: ContrastiveEmbedder(encoder=e, max_epochs=0).fit(X).transform(X),
    "warm_start": lambda e, X, folder: (
        skclr.load(folder / "model", warm_start=True).fit(X).transform(BYTES.astype("uint8"))
    ),
    "loaded": lambda e, X, folder: skclr.load(folder / "model").transform(X),
    "memmap": lambda e, X, folder: e.transform(mapped(folder / f"{X.dtype}-X.npy", X)),
    "large memmap": lambda e, X, folder: e.transform(on_disk(mapped(folder / f"{X.dtype}-X.npy", X))),
    "zarr": lambda e, X, folder: e.transform(Source(X)),
    "large zarr": lambda e, X, folder: e.transform(on_disk(Source(X))),
    "dask": lambda e, X, folder: np.asarray(e.transform(dask(X))),
    "large dask": lambda e, X, folder: e.transform(on_disk(dask(X))),
}


class Source:
    """As zarr and h5py do: an array on disk that reads what is asked for."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.chunks = values, values.shape, values.dtype, None

    def __getitem__(self, rows):
        return self.values[rows]


def mapped(path, X):
    np.save(path, X)
    return np.load(path, mmap_mode="r")


def dask(X):
    return pytest.importorskip("dask.array").from_array(X, chunks=(3, -1, -1, -1))


@pytest.mark.parametrize("name", READERS)
def test_one_rule_wherever_images_are_read(name, tmp_path):
    embedder = fitted(BYTES.astype("uint8"))
    embedder.save(tmp_path / "model")
    expected = READERS[name](embedder, BYTES.astype("uint8"), tmp_path)
    assert_array_equal(READERS[name](embedder, BYTES.astype("int64"), tmp_path), expected)
    if name != "transfer":
        # In that case fit learns the scale again.
        with pytest.raises(ValueError, match=r"X has float32 .*fit saw"):
            READERS[name](embedder, BYTES.astype("float32"), tmp_path)


@pytest.mark.parametrize("kind", [np.asarray, lambda X: on_disk(Source(X))], ids=["asarray", "Source"])
@pytest.mark.parametrize("dtypes", [("uint8", "unit"), ("unit", "uint8"), ("int64", "uint8"), ("uint8", "uint16")])
def test_unlabeled_images_of_another_dtype(dtypes, kind):
    X, more = (VALUES["unit"] if dtype == "unit" else BYTES.astype(dtype) for dtype in dtypes)
    modality = Image()
    rows = modality.read(X, InputFeatures(), reset=True)
    joined = modality.join(rows, modality.read(kind(more), InputFeatures(), reset=False))
    assert isinstance(joined, Joined)
    both = modality.to_tensor(joined[np.arange(16)])
    torch.testing.assert_close(both[8:], both[:8], rtol=1e-6, atol=0)
    torch.testing.assert_close(both[:8], modality.to_tensor(rows[np.arange(8)]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "dtype"), [("bytes", "uint8"), ("bytes", "int64"), ("unit", "float32"), ("digits", "float64")]
)
def test_an_exported_network_reads_as_transform_does(name, dtype):
    X = VALUES[name].astype(dtype)
    embedder = fitted(X)
    layer, example = embedder.model_.modality.reader()
    assert example.dtype == (torch.uint8 if dtype == "uint8" else torch.float32)
    x = layer(torch.from_numpy(X).to(example.dtype))
    assert_array_equal(x, embedder.model_.read(X)[:])


def test_files_are_read_on_the_scale_of_fit(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    X = BYTES.astype("uint8")
    paths = [tmp_path / f"{i}.png" for i in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        pillow.fromarray(image).save(path)
    for values in (X, X.astype("int64"), X.astype("float32"), X / np.float32(255)):
        embedder = fitted(values)
        assert_array_equal(embedder.transform(paths), embedder.transform(values))
    with pytest.raises(ValueError, match=r"X has uint8 .*fit saw"):
        fitted(VALUES["standardized"]).transform(paths)


# -- flat rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int64", "UInt8", "Int64", "uint8[pyarrow]", object])
def test_flat_rows_in_frames(dtype):
    flat = BYTES.reshape(8, -1)
    embedder = fitted(flat.astype("uint8"), modality_params={"image_shape": (6, 5, 3)})
    frame = pd.DataFrame(flat).astype(dtype)
    assert_array_equal(embedder.transform(frame.to_numpy()), embedder.transform(flat.astype("uint8")))
    named = fitted(frame.add_prefix("pixel"), modality_params={"image_shape": (6, 5, 3)})
    assert_array_equal(named.transform(frame.add_prefix("pixel")), embedder.transform(flat.astype("uint8")))


def test_streams_keep_the_scale_of_their_first_piece():
    black = np.zeros((4, 6, 5, 3), np.uint8)
    stream = ContrastiveEmbedder(random_state=0).partial_fit(black).partial_fit(BYTES.astype("uint8"))
    assert_array_equal(stream.transform(BYTES.astype("int32")), stream.transform(BYTES.astype("uint8")))


@pytest.mark.parametrize("make", [lambda e: e, lambda e: e.encoder_], ids=["embedder", "encoder"])
def test_a_fitted_encoder_keeps_what_a_pixel_means(make):
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    settings = {"modality": "image", "max_epochs": 0, "random_state": 0}
    fitted = ContrastiveEmbedder(**settings).fit(images)
    expected = fitted.transform(images)
    for same in (images.astype(np.int64), (images / 255).astype(np.float32)):
        assert_allclose(
            ContrastiveEmbedder(**settings, encoder=make(fitted)).fit(same).transform(same), expected, atol=1e-5
        )
    for other in (images.astype(np.float32), images.astype(np.uint16) * 257, images / 127.5 - 1):
        with pytest.raises(ValueError, match="fit saw 8-bit pixels"):
            ContrastiveEmbedder(**settings, encoder=make(fitted)).fit(other)
    raw = ContrastiveEmbedder(**settings).fit(images.astype(np.float32))
    again = ContrastiveEmbedder(**settings, encoder=make(raw)).fit(images)
    assert_allclose(again.transform(images), raw.transform(images), atol=1e-5)


def test_images_from_minus_one_to_one_and_of_fewer_bits_are_on_another_scale():
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    settings = {"modality": "image", "max_epochs": 0, "random_state": 0}
    for seen in (images, (images / 255).astype(np.float32)):
        with pytest.raises(ValueError, match="but fit saw"):
            ContrastiveEmbedder(**settings).fit(seen).transform(images / 127.5 - 1)
    with pytest.raises(ValueError, match="but fit saw"):
        ContrastiveEmbedder(**settings).fit(images.astype(np.uint16) * 257).transform(images)
    with pytest.raises(ValueError, match="but fit saw"):
        ContrastiveEmbedder(**settings).fit(images).transform(np.full((1, 8, 8), 2.0))


def test_unlabeled_images_in_another_dtype_train_as_the_same_images():
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    fractions = (images / 255).astype(np.float32)
    settings = {"modality": "image", "max_epochs": 1, "batch_size": 8, "random_state": 0, "precision": "float32"}
    losses = [
        ContrastiveEmbedder(**settings).fit(X, unlabeled=U).loss_curve_
        for X, U in ((images, images), (images, fractions), (fractions, images), (fractions, fractions))
    ]
    assert_allclose(losses, np.broadcast_to(losses[0], np.shape(losses)), rtol=1e-4)
