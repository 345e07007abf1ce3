"""Untrusted Parquet files: those that would grow beyond bounds are refused before memory is allocated."""

from contextlib import contextmanager

import numpy as np
import pytest

from skclr import ContrastiveEmbedder
from skclr.command_line.files import read
from skclr.data.parquet import check_growth, check_row_group
from skclr.data.sources import open_source
from skclr.modalities import ParquetRows

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
POOLS = []  # pyarrow may free into a pool after it has been put back.


@contextmanager
def memory_of_arrow():
    """Return a function for the peak memory of pyarrow within the block, in bytes."""
    default = pa.default_memory_pool()
    POOLS.append(pa.proxy_memory_pool(default))
    pa.set_memory_pool(POOLS[-1])
    try:
        yield POOLS[-1].max_memory
    finally:
        pa.set_memory_pool(default)


def repeated(n, size=10**6):
    """Return n references to one text."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["y" * size]))


def in_lists(values, per_row):
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, per_row), pa.int32()), values)


BOMBS = {
    "dictionary": lambda n: {"t": repeated(n)},
    "some columns": lambda n: {f"t{i}": repeated(n // 4) for i in range(4)},
    "lists of texts": lambda n: {"t": in_lists(repeated(n), n // 4)},
    "texts in a structure": lambda n: {"t": pa.StructArray.from_arrays([repeated(n)], ["s"])},
    "bytes": lambda n: {"t": repeated(n).cast(pa.dictionary(pa.int32(), pa.binary()))},
    "name with a dot": lambda n: {"t.t": repeated(n)},
}


def write(path, columns, n=8, **params):
    """Write columns, each cut or repeated to n rows, as plain types."""
    columns = {name: column[:n] if len(column) > n else column for name, column in columns.items()}
    n = min(map(len, columns.values()))
    table = pa.table({"a": np.arange(float(n)), "b": np.arange(float(n)), **{k: v[:n] for k, v in columns.items()}})
    settings = {"compression": "zstd", "dictionary_pagesize_limit": 2**30, "store_schema": False, **params}
    parquet.write_table(table, path, **settings)
    return path


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("row_group_size", [10_000, 400])
def test_bombs_are_refused_before_they_grow(name, row_group_size, tmp_path):
    path = write(tmp_path / "bomb.parquet", BOMBS[name](2_400), 10_000, row_group_size=row_group_size)
    assert path.stat().st_size < 50_000
    with memory_of_arrow() as most:
        with pytest.raises(ValueError, match=r"would grow to .* GiB"):
            read(path)
        if row_group_size > 400:
            with pytest.raises(ValueError, match=r"would grow to .* GiB"):
                ContrastiveEmbedder(max_epochs=1).fit(open_source(path))
        assert most() < 2**26


def test_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([repeated(600), repeated(600)], names=["t", "t"])
    path = tmp_path / "bomb.parquet"
    parquet.write_table(table, path, compression="zstd", dictionary_pagesize_limit=2**30, store_schema=False)
    with pytest.raises(ValueError, match="would grow"):
        check_row_group(path, parquet.read_metadata(path), 0)


def test_columns_that_are_not_read_do_not_count(tmp_path):
    path = write(tmp_path / "bomb.parquet", BOMBS["dictionary"](2_400), 10_000)
    X = ParquetRows(path, columns=["a", "b"])
    assert X[np.arange(3)].shape == (3, 2)


def test_long_lists_are_counted_by_their_values(tmp_path):
    path = write(tmp_path / "bomb.parquet", {"t": in_lists(pa.array(np.zeros(40_000, np.int8)), 10_000)})
    assert path.stat().st_size < 5_000
    metadata = parquet.read_metadata(path)
    assert check_row_group(path, metadata, 0) > 8 * 40_000
    with memory_of_arrow() as most:
        with pytest.raises(ValueError, match="would grow"):
            check_row_group(path, metadata, 0, most_bytes=300_000)
        assert most() < 40_000


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_that_share_their_beginnings(encoding, tmp_path):
    texts = pa.array(["y" * 10_000 + str(i) for i in range(1_000)])
    path = write(tmp_path / "t.parquet", {"t": texts}, 10_000, use_dictionary=False, column_encoding={"t": encoding})
    metadata = parquet.read_metadata(path)
    assert check_row_group(path, metadata, 0) >= 10**7
    with pytest.raises(ValueError, match="would grow"):
        check_row_group(path, metadata, 0, most_bytes=10**6)


@pytest.mark.parametrize("params", [{}, {"store_schema": True}, {"use_dictionary": False}, {"row_group_size": 50}])
def test_tables_are_read_as_before(params, tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "number": rng.normal(size=200),
            "text": rng.choice(["red", "green", None], 200),
            "kind": pandas.Categorical(rng.choice(["x", "y"], 200)),
            "long": [f"{i} " * 50 for i in range(200)],
        }
    )
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.Table.from_pandas(frame), path, **params)
    assert read(path).X.equals(pandas.read_parquet(path))
    rows = ParquetRows(path)[np.array([3, 60, 199])]
    assert rows.reset_index(drop=True).equals(pandas.read_parquet(path).iloc[[3, 60, 199]].reset_index(drop=True))


def test_a_large_file_may_grow_as_far_as_before(tmp_path):
    texts = pa.array(np.random.default_rng(0).bytes(200_000).hex()[i : i + 40] for i in range(0, 4_000, 40))
    path = write(tmp_path / "t.parquet", {"t": texts}, 100)
    metadata = parquet.read_metadata(path)
    assert check_row_group(path, metadata, 0, most_bytes=1) < 100 * path.stat().st_size


@pytest.mark.parametrize("reader", [ParquetRows, open_source, read])
def test_columns_of_one_name_are_refused_before_they_are_read(reader, tmp_path, monkeypatch):
    path = tmp_path / "twice.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1.0, 2.0])] * 2, names=["a", "a"]), path)
    monkeypatch.delattr(parquet.ParquetFile, "read_row_group")
    with pytest.raises(ValueError, match=r"twice\.parquet has more than one column named 'a'\. Rename or drop"):
        reader(path)


@pytest.mark.parametrize(
    ("n_bytes", "most_bytes"), [(2**30, {}), (100_000, {"most_bytes": 1})], ids=["a gibibyte", "a hundred times"]
)
def test_a_file_may_grow_to_the_greater_bound(n_bytes, most_bytes, tmp_path):
    (tmp_path / "file").write_bytes(bytes(1_000))
    check_growth(tmp_path / "file", n_bytes, **most_bytes)
    with pytest.raises(ValueError, match=r"would grow to .* GiB or more, over 100 times its size"):
        check_growth(tmp_path / "file", n_bytes + 1, **most_bytes)
