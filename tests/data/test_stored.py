"""Data that stay where they are kept: memory maps, zarr, HDF5, dask, Parquet, and objects of the user's own."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.preprocessing import OrdinalEncoder

from skclr.data.sources import open_source
from skclr.data.stored import BlockReader, Joined, Stored, is_stored
from skclr.modalities import Image, ParquetRows, Tabular
from skclr.modalities.categories import Categories
from skclr.model import InputFeatures


class Rows:
    """The least that there is: a length, and rows by index arrays."""

    def __init__(self, values):
        self.values, self.n_read, self.most = values, 0, np.inf

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        assert isinstance(rows, np.ndarray)
        assert (np.diff(rows) > 0).all()
        self.n_read += len(rows)
        if self.n_read > self.most:
            raise OSError("the disk is gone")
        return self.values.iloc[rows] if hasattr(self.values, "iloc") else self.values[rows]


class Whole:
    """What torch's data sets mostly do: one row at a time."""

    def __len__(self):
        return 3

    def __getitem__(self, row):
        raise TypeError("only whole numbers")


class HDF5:
    """What h5py's datasets do: slices, and growing index arrays."""

    chunks = None

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, rows):
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        return self.values[rows]

    def __array__(self, *args, **kwargs):
        raise AssertionError("all of the array was read")


class Zarr(HDF5):
    """Other than h5py's, an index array goes over all axes at once, unless it is an `oindex`."""

    def __init__(self, values):
        super().__init__(values)
        self.oindex, self.chunks = HDF5(values), (3, *values.shape[1:])

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        return self.values[rows]


def memmap(values, folder):
    np.save(folder / "X.npy", values)
    return np.load(folder / "X.npy", mmap_mode="r")


def dask(values, folder):
    return pytest.importorskip("dask.array").from_array(values, chunks=(7, *values.shape[1:]))


def parquet(values, folder):
    pytest.importorskip("pyarrow")
    frame = values if isinstance(values, pd.DataFrame) else pd.DataFrame(values).add_prefix("x")
    frame.to_parquet(folder / "X.parquet", row_group_size=7)
    return folder / "X.parquet"


KINDS = {
    "memmap": memmap,
    "hdf5": lambda values, folder: HDF5(values),
    "zarr": lambda values, folder: Zarr(values),
    "dask": dask,
    "object": lambda values, folder: Rows(values),
    "parquet": parquet,
}


def on_disk(X, **params):
    """Return the rows of a source as if they were too many to be read at once."""
    return Stored(ParquetRows(X) if isinstance(X, Path) else X, **params)


def in_sevens(X):
    """Return the rows of a table in blocks of at most 7, unless the source has its own blocks."""
    return on_disk(X, block_values=35)


@pytest.fixture
def no_memory(monkeypatch):
    """Simulate a machine without free memory, on which rows are read batch by batch."""
    monkeypatch.setattr("skclr.data.samples.resident_bytes", lambda device: 0)


# -- what is stored ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 2)),
        [[1.0], [2.0]],
        pd.DataFrame({"a": [1.0]}),
        pd.Series([1.0, 2.0]),
        sparse.csr_array(np.eye(3)),
    ],
    ids=lambda X: type(X).__name__,
)
def test_what_is_in_memory_is_left_as_it_is(X):
    assert open_source(X) is X


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_in_any_order(kind, table, tmp_path):
    X = np.asarray(table[0])
    rows = on_disk(KINDS[kind](X, tmp_path))
    assert open_source(rows) is rows
    assert rows.shape == (60, 5)
    for chosen in (np.array([7, 2, 2, 59]), np.arange(20, 40), np.array([], dtype=int), slice(3, 9)):
        assert_array_equal(rows[chosen], X[chosen])
    assert_array_equal(np.concatenate(list(rows.blocks())), X)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_small_is_read_at_once(kind, table, tmp_path):
    X = open_source(KINDS[kind](np.asarray(table[0]), tmp_path))
    assert type(X) is (pd.DataFrame if kind == "parquet" else np.ndarray)
    assert_array_equal(X, table[0])


def test_blocks_are_what_the_source_reads_together(table, tmp_path):
    X = np.asarray(table[0])
    sevens = [*range(0, 60, 7), 60]
    edges = in_sevens(memmap(X, tmp_path)).edges
    assert (edges[0], edges[-1]) == (0, 60)
    assert set(np.diff(edges)[:-1]) <= {4, 5, 6, 7}
    assert len(set(np.diff(edges))) > 1
    assert in_sevens(dask(X, tmp_path)).edges.tolist() == sevens
    assert in_sevens(parquet(X, tmp_path)).edges.tolist() == sevens
    # Two chunks of 3 rows, and not two and a third.
    assert in_sevens(Zarr(X)).edges.tolist() == [*range(0, 60, 6), 60]
    assert in_sevens(X[:0]).edges.tolist() == [0]


def test_an_object_that_takes_no_index_array():
    with pytest.raises(ValueError, match=r"X is a Whole, which for an index array of 1 gave TypeError\('only whole"):
        open_source(Whole())


def test_an_object_that_returns_no_rows():
    with pytest.raises(ValueError, match=r"X is a Rows, which for an index array of 1 gave something of shape \(\)"):
        open_source(type("Rows", (Rows,), {"__getitem__": lambda self, rows: 3.0})([1, 2]))


# -- memory -----------------------------------------------------------------------------------------


def resident_kib(path):
    """Return how much of a mapped file counts as this process's memory."""
    found, sizes = False, []
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            found = line.endswith(str(path))
        elif found and line.startswith("Rss:"):
            sizes.append(int(line.split()[1]))
    assert sizes
    return sum(sizes)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much of a map is in memory")
def test_pages_of_a_map_are_given_back(tmp_path):
    # 64 MiB, most of which takes no space on disk.
    X = np.memmap(tmp_path / "X", np.float32, "w+", shape=(16_384, 1_024))
    X[::1000] = 1.0
    X.flush()
    X = np.memmap(tmp_path / "X", np.float32, "r", shape=X.shape)
    X.sum()
    assert resident_kib(tmp_path / "X") > 60_000
    del X
    rows = Stored(np.memmap(tmp_path / "X", np.float32, "r", shape=(16_384, 1_024)))
    for block in rows.blocks():
        del block
    rows[np.arange(0, 16_384, 7)]
    # Linux maps some pages in addition to those requested.
    assert resident_kib(tmp_path / "X") < 1_000


def test_a_large_memory_map_is_not_read_as_a_whole(tmp_path):
    # 512 MiB that take no space on disk.
    X = np.memmap(tmp_path / "X", np.float32, "w+", shape=(131_072, 32, 32, 1))
    tracemalloc.start()
    modality = Image()
    rows = modality.read(open_source(X), InputFeatures(), reset=True)
    modality.to_tensor(modality.join(rows, rows)[np.array([3, 140_000])])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 20


def test_what_was_written_into_a_map_of_your_own_stays(table, tmp_path):
    np.save(tmp_path / "X.npy", table[0])
    X = np.load(tmp_path / "X.npy", mmap_mode="c")
    X[:] = 7.0
    rows = on_disk(X)
    assert (rows[:] == 7.0).all()
    assert (rows[:] == 7.0).all()


def test_row_groups_are_read_once(table, tmp_path, monkeypatch):
    parquet_module = pytest.importorskip("pyarrow.parquet")
    rows, groups = on_disk(parquet(table[0], tmp_path)), []
    read_row_group = parquet_module.ParquetFile.read_row_group

    def counted(file, number, **kwargs):
        groups.append(number)
        return read_row_group(file, number, **kwargs)

    monkeypatch.setattr(parquet_module.ParquetFile, "read_row_group", counted)
    for start in range(10, 60, 5):
        rows[start : start + 5]
    assert groups == list(range(1, 9))


# -- fits -------------------------------------------------------------------------------------------


def texts(n):
    return np.random.default_rng(0).choice(list("abc"), n)


CASES = {
    "table": (lambda rng: make_blobs(60, 5, random_state=0)[0], {"views": "corruption"}),
    "gaps": (lambda rng: np.where(rng.random((60, 5)) < 0.2, np.nan, 1.0) * np.arange(5), {"views": "corruption"}),
    "images": (lambda rng: rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), {}),
    "flat images": (lambda rng: rng.random((60, 64)), {"modality_params": {"image_shape": (8, 8)}}),
    "series": (lambda rng: rng.random((60, 2, 30)), {}),
    "audio": (
        lambda rng: rng.integers(-9, 9, (60, 800), dtype=np.int16),
        {"modality_params": {"sampling_rate": 8_000, "max_seconds": 0.09}, "encoder_params": {"width": 8}},
    ),
}


@pytest.mark.usefixtures("no_memory")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["memmap", "object"])
def test_of_one_block_the_bits_are_those_of_an_array(case, kind, quick, tmp_path):
    make, params = CASES[case]
    X = make(np.random.default_rng(0))
    source = KINDS[kind](X, tmp_path)
    assert is_stored(source)
    stored = on_disk(source)
    params = {"batch_size": 16, "max_epochs": 1, **params}
    one, other = (quick(**params).fit(each) for each in (X, stored))
    assert_array_equal(other.transform(stored), one.transform(X))
    assert one.n_features_in_ == other.n_features_in_ if X.ndim == 2 and case != "audio" else True


@pytest.mark.usefixtures("no_memory")
@pytest.mark.parametrize("name", ["frame", "parquet"])
def test_tables_of_categories(name, table, quick, tmp_path):
    X = pd.DataFrame(table[0]).add_prefix("x").assign(letter=texts(60), flag=table[1] > 0)
    stored = on_disk(parquet(X, tmp_path).parent if name == "parquet" else Rows(X))
    one, other = (quick(views="corruption").fit(each) for each in (X, stored))
    assert list(other.feature_names_in_) == list(X.columns)
    assert other.model_.modality.categories_.codes_ == one.model_.modality.categories_.codes_
    assert_allclose(other.model_.modality.mean_, one.model_.modality.mean_)
    # The model of either takes the other.
    assert_array_equal(other.transform(stored), other.transform(X))


@pytest.mark.usefixtures("no_memory")
def test_where_data_are_kept_does_not_matter(table, quick, tmp_path):
    X = np.asarray(table[0])
    fits = [
        quick(batch_size=12).fit(in_sevens(KINDS[kind](X, tmp_path)))
        for kind in ("memmap", "hdf5", "object", "dask", "parquet")
    ]
    # dask and Parquet bring blocks of their own.
    for one, other in ((0, 1), (0, 2), (3, 4)):
        assert fits[one].loss_curve_ == fits[other].loss_curve_
    assert fits[0].net_.view_maker.__class__.__name__ == "MarginalCorruption"


@pytest.mark.parametrize("most", [2, 3, 5, 26])
def test_categories_over_blocks_are_those_of_ordinal_encoder(most):
    # Among 60 letters there are many ties in frequency.
    letters = np.random.default_rng(0).choice(list("abcdefghijkl"), (60, 1)).astype(object)
    categories = Categories(most).fit([letters[:7], letters[7:]])
    assert_array_equal(categories.encode(letters), OrdinalEncoder(max_categories=most).fit_transform(letters))


def learned(X):
    modality = Tabular()
    modality.read(X, InputFeatures(), reset=True)
    return modality


def test_statistics_over_blocks_are_those_of_all_rows():
    X = np.random.default_rng(0).normal(1e3, 1e-2, (60, 5))
    X[:20, 0] = X[:, 1] = np.nan
    X[:, 2] = 3.0
    one, other = learned(X), learned(in_sevens(Rows(X)))
    assert one.gaps_ == other.gaps_ == (True, True, False, False, False)
    assert_allclose(other.mean_, one.mean_, rtol=1e-12)
    assert_allclose(other.scale_, one.scale_, rtol=1e-9)


def test_what_is_wrong_is_named_by_its_row(quick):
    X = np.zeros((60, 5))
    X[31, 3] = np.inf
    rows = Rows(X)
    rows.edges = np.array([0, 28, 60])
    with pytest.raises(ValueError, match=r"infinity in row 3, column 3.* \(rows are counted from row 28 of X\)"):
        quick().fit(on_disk(rows))


def test_images_without_numbers():
    with pytest.raises(ValueError, match=r"X has dtype <U1\. Pass an array of numbers"):
        Image().read(on_disk(Rows(np.full((3, 4, 4), "a"))), InputFeatures(), reset=True)


def test_what_was_not_looked_at_when_opened_is_when_it_is_read(tmp_path):
    X = np.zeros((5_000, 4, 4), np.float32)
    X[4_998, 2, 1] = np.nan
    rows = Image().read(on_disk(memmap(X, tmp_path)), InputFeatures(), reset=True)
    with pytest.raises(ValueError, match=r"NaN in row 998.* \(rows are counted from row 4000 of X\)"):
        rows[np.arange(4_000, 5_000)]


@pytest.mark.usefixtures("no_memory")
def test_a_stream_of_stored_pieces(table, quick):
    embedder = quick(batch_size=8)
    for piece in (table[0][:30], table[0][30:]):
        embedder.partial_fit(in_sevens(Rows(piece)))
    assert embedder.n_iter_ == 2
    assert np.isfinite(embedder.transform(in_sevens(Rows(table[0])))).all()


@pytest.mark.usefixtures("no_memory")
def test_a_fit_that_lost_its_disk_continues_as_if_it_had_not(table, quick, tmp_path):
    X = np.asarray(table[0])
    params = {"batch_size": 12, "checkpoint_minutes": 0}
    whole, lost = Rows(X), Rows(X)
    one = quick(checkpoint_dir=tmp_path / "one", **params).fit(in_sevens(whole))
    # In the middle of the last epoch.
    lost.most = whole.n_read - 20
    with pytest.raises(OSError, match="the disk is gone"):
        quick(checkpoint_dir=tmp_path / "other", **params).fit(in_sevens(lost))
    assert len(list((tmp_path / "other").iterdir())) == 2
    other = quick(checkpoint_dir=tmp_path / "other", **params).fit(in_sevens(Rows(X)))
    assert other.loss_curve_ == one.loss_curve_
    assert_array_equal(other.transform(X), one.transform(X))


@pytest.mark.usefixtures("no_memory")
def test_pairs_and_more_rows_in_blocks(digits, quick):
    X = digits[0]
    pairs, n_read = Rows(np.stack([X, X], 1)), 0
    params = {"modality": "image", "batch_size": 12}
    # The views have the same blocks as the pairs.
    one = quick(views="paired", **params).fit(on_disk(pairs, block_values=7 * 128))
    n_read, pairs.n_read = pairs.n_read, 0
    assert n_read > 120
    other = quick(**params).fit(tuple(on_disk(Rows(X), block_values=7 * 64) for _ in range(2)))
    assert one.loss_curve_ == other.loss_curve_


def test_joined_rows_in_blocks(table):
    X = np.asarray(table[0])
    joined = Joined(Stored(Rows(X)), X[:9])
    assert joined.edges.tolist() == [0, 60, 69]
    # In memory there are no blocks.
    assert Joined(X, X).edges.tolist() == [0, 120]
    reader = joined.in_blocks()
    assert isinstance(reader.parts[0][0], BlockReader)
    rows = np.array([68, 3, 60, 3])
    assert_array_equal(reader[rows], np.concatenate([X, X[:9]])[rows])


def test_joined_rows_of_other_shapes(table):
    with pytest.raises(ValueError, match=r"X holds samples of shape \(5,\), but unlabeled holds samples of \(4,\)"):
        Joined(Stored(Rows(np.asarray(table[0]))), np.zeros((3, 4)))


@pytest.mark.parametrize("kind", ["object", "parquet"])
def test_embedded_into_a_file(kind, table, quick, tmp_path):
    stored = in_sevens(KINDS[kind](np.asarray(table[0]), tmp_path))
    embedder = quick().fit(stored)
    assert_array_equal(embedder.transform_to(tmp_path / "e.npy", stored), embedder.transform(stored))


# -- paths ------------------------------------------------------------------------------------------


def test_a_folder_of_images(digits, quick, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for number, image in enumerate(digits[0][:12]):
        (tmp_path / str(number // 5)).mkdir(exist_ok=True)
        pillow.fromarray(image).save(tmp_path / str(number // 5) / f"{number:02}.png")
    assert_array_equal(quick().fit_transform(tmp_path), quick(modality="image").fit_transform(digits[0][:12]))


def test_columns_of_parquet(table, tmp_path):
    path = parquet(table[0], tmp_path)
    assert list(open_source(ParquetRows(path, ["x1", "x3"])).columns) == ["x1", "x3"]
    with pytest.raises(ValueError, match=r"columns=\['y'\]: .*X.parquet has no 'y'"):
        ParquetRows(path, ["y"])
    pd.DataFrame({"z": [1]}).to_parquet(tmp_path / "Y.parquet")
    with pytest.raises(ValueError, match=r"Y.parquet has other columns or types than .*X.parquet"):
        ParquetRows(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"contains no \.parquet files"):
        ParquetRows(tmp_path / "empty")
