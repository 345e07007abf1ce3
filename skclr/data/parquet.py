"""Tables in Parquet files, read by row group."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from skclr.data.files import visible_files
from skclr.optional import import_optional

# A file that grows beyond both when it is read is regarded as a decompression bomb.
_MOST_BYTES = 2**30
_MOST_GROWTH = 100
# Minimum size of a value, as a number or a reference to a string.
_VALUE_BYTES = 8
# Encoding in which a few bytes can represent a long string.
_PREFIXES = "DELTA_BYTE_ARRAY"
_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
# Bytes decoded at once if strings must be decoded to learn their length.
_BLOCK_BYTES = 2**24


def check_growth(path: str | os.PathLike[str], n_bytes: int, most_bytes: int = _MOST_BYTES) -> None:
    """Raise a ValueError if a file would grow to more than both 1 GiB and 100 times its size."""
    if n_bytes > max(most_bytes, _MOST_GROWTH * os.path.getsize(path)):
        raise ValueError(
            f"{os.fspath(path)} would grow to {n_bytes / 2**30:,.1f} GiB or more, over {_MOST_GROWTH} times its size. "
            "If you trust it, unpack it and pass an .npy file, which is read in parts."
        )


def column_names(path: str | os.PathLike[str], metadata: Any) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises
    ------
    ValueError : if two columns have one name.
    """
    names: list[str] = metadata.schema.to_arrow_schema().names
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(f"{path} has more than one column named {repeated[0]!r}. Rename or drop all but one.")
    return names


def check_row_group(
    path: str | os.PathLike[str],
    metadata: Any,
    group: int,
    columns: Sequence[str] | None = None,
    *,
    before: int = 0,
    most_bytes: int = _MOST_BYTES,
) -> int:
    """Return the size in bytes to which a row group of a Parquet file grows, using little memory.

    Numbers and plain strings have the size stated in the metadata. For strings in a dictionary, the dictionary and the
    indices are read, but the strings are not expanded.

    Parameters
    ----------
    path, metadata : path and metadata of the file.
    group : number of the row group.
    columns : names of the columns that are read; None for all.
    before : size in bytes of earlier row groups that are kept.
    most_bytes : size in bytes to which any file may grow.

    Raises
    ------
    ValueError : if the size is too large for a file of that size.
    """
    rows, n_bytes = metadata.row_group(group), before
    places = [i for i in range(rows.num_columns) if _is_read(rows.column(i).path_in_schema, columns)]
    for place in places:
        n_bytes += _least_bytes(metadata, group, place)
    check_growth(path, n_bytes, most_bytes)
    kinds = metadata.schema.to_arrow_schema()
    for place in places:
        for n_more in _text_bytes(path, metadata, group, place, kinds):
            n_bytes += n_more
            check_growth(path, n_bytes, most_bytes)
    return n_bytes - before


def _is_read(path: str, columns: Sequence[str] | None) -> bool:
    return columns is None or any(path == name or path.startswith(f"{name}.") for name in columns)


def _least_bytes(metadata: Any, group: int, place: int) -> int:
    rows, column = metadata.row_group(group), metadata.row_group(group).column(place)
    # Decimals, UUIDs and the like have a fixed length.
    width = max(_VALUE_BYTES, metadata.schema.column(place).length)
    return max(column.total_uncompressed_size, width * max(column.num_values, rows.num_rows))


def _text_bytes(path: Any, metadata: Any, group: int, place: int, kinds: Any) -> Iterator[int]:
    """Yield by how much the strings of a column exceed its bytes in the file, block by block."""
    parquet, _ = _import_pyarrow()
    column = metadata.row_group(group).column(place)
    name, encodings = column.path_in_schema, set(column.encodings)
    if column.physical_type != "BYTE_ARRAY" or not encodings & {_PREFIXES, *_DICTIONARIES}:
        return
    index = kinds.get_field_index(name)
    if index >= 0 and str(kinds.field(index).type).startswith("dictionary"):
        # Categories remain a dictionary.
        return
    if _PREFIXES not in encodings:
        with parquet.ParquetFile(path, metadata=metadata, read_dictionary=[name]) as file:
            table = file.read_row_group(group, columns=[name])
            yield sum(_decoded_bytes(chunk) for column in table.columns for chunk in column.chunks)
    elif metadata.schema.column(place).max_repetition_level:
        # A single row may have any length.
        yield column.num_values * column.total_uncompressed_size
    else:
        # No string is longer than the uncompressed size of the column.
        n_rows = max(1, _BLOCK_BYTES // column.total_uncompressed_size)
        with parquet.ParquetFile(path, metadata=metadata) as file:
            for batch in file.iter_batches(n_rows, row_groups=[group], columns=[name]):
                yield batch.nbytes


def _decoded_bytes(array: Any) -> int:
    """Return the total length of the strings of an array with dictionaries at any depth."""
    import pyarrow
    import pyarrow.compute

    kinds = pyarrow.types
    if kinds.is_dictionary(array.type):
        lengths = pyarrow.compute.binary_length(array.dictionary).cast(pyarrow.int64())
        return pyarrow.compute.sum(lengths.take(array.indices)).as_py() or 0
    if kinds.is_struct(array.type):
        return sum(_decoded_bytes(field) for field in array.flatten())
    if kinds.is_map(array.type):
        return _decoded_bytes(array.keys) + _decoded_bytes(array.items)
    if kinds.is_nested(array.type):
        return _decoded_bytes(array.values)
    return int(array.nbytes)


class ParquetRows:
    """Rows of Parquet files, to pass as X if a table exceeds memory; `rows[index]` is a DataFrame.

    Row groups are read as a whole, and shuffles draw from several at once, so write row groups of a few MB
    (`row_group_size=`). With larger ones, neighbouring rows are more likely to be in the same batch.

    Parameters
    ----------
    path : str or path
        Path of a file, or of a folder, whose files are read in the order of their names.
    columns : sequence of str, default=None
        Names of the columns to read; None for all.

    Attributes
    ----------
    edges : (n_groups + 1,) first row number of each row group, then the number of rows.

    Raises
    ------
    ValueError
        If there are no such files, or their columns differ or share a name; and on reading a row group that would grow
        beyond both 1 GiB and 100 times the size of its file.
    ImportError
        If pyarrow or pandas is not installed (`skclr[cli]`).

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.modalities import ParquetRows
    >>> frame = load_iris(as_frame=True).frame
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame.to_parquet(f"{folder}/iris.parquet", row_group_size=50)
    ...     X = ParquetRows(folder, columns=list(frame.columns[:4]))
    ...     ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X).n_features_in_
    4
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> None:
        parquet, _ = _import_pyarrow()
        paths = visible_files(Path(path), "*.parquet") if os.path.isdir(path) else [Path(path)]
        if not paths:
            raise ValueError(f"path={os.fspath(path)!r} contains no .parquet files. Pass one that does, or a file.")
        files = [(path, parquet.read_metadata(path)) for path in paths]
        odd = next((path for path, file in files if not file.schema.equals(files[0][1].schema)), None)
        if odd is not None:
            raise ValueError(f"{odd} has other columns or types than {paths[0]}. Write all files alike.")
        names = column_names(*files[0])
        missing = [name for name in columns or () if name not in names]
        if missing:
            raise ValueError(f"columns={columns!r}: {paths[0]} has no {missing[0]!r}")
        self.columns = columns
        self._groups = [(path, file, i) for path, file in files for i in range(file.num_row_groups)]
        self.edges = np.cumsum([0, *(file.row_group(i).num_rows for _, file, i in self._groups)])
        self._last: tuple[int, Any] = (-1, None)
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return int(self.edges[-1])

    def __getitem__(self, rows: np.ndarray) -> Any:
        _, pandas = _import_pyarrow()
        groups = np.searchsorted(self.edges, rows, side="right") - 1
        found = [self._group(g).iloc[rows[groups == g] - self.edges[g]] for g in np.unique(groups).tolist()]
        return pandas.concat(found) if len(found) > 1 else found[0] if found else self._group(0)[:0]

    def _group(self, number: int) -> Any:
        """Read a row group; the last one is cached, since further rows of it are likely to follow."""
        last, frame = self._last
        if last != number:
            parquet, _ = _import_pyarrow()
            path, metadata, place = self._groups[number]
            if number not in self._checked:
                check_row_group(path, metadata, place, self.columns)
                self._checked.add(number)
            with parquet.ParquetFile(path, metadata=metadata) as file:
                frame = file.read_row_group(place, columns=self.columns).to_pandas()
            self._last = number, frame
        return frame


def _import_pyarrow() -> tuple[ModuleType, ModuleType]:
    needed = ("pyarrow.parquet", "pandas")
    parquet, pandas = (import_optional(module, "cli", "reading Parquet files") for module in needed)
    return parquet, pandas
