"""Rows that are read only when they are needed: arrays on disk, Parquet files, user-defined objects."""

from __future__ import annotations

import copy
import math
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

# 8 MiB of float32.
_BLOCK_VALUES = 2**21
# Number of scattered rows read from a memory map before its pages are released.
_FEW_ROWS = 1_024
# Bytes of read-ahead: the system also loads pages within this distance of those that are read.
_READAHEAD_BYTES = 2**20
_REMEDY = "pass an object that returns as many rows, as an array or a DataFrame"


def is_stored(X: Any) -> bool:
    """Return whether X reads rows when it is indexed: memory maps, zarr, h5py, dask, `ParquetRows`."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap)
    if isinstance(X, Stored | Sequence | Mapping | Set) or issparse(X) or not hasattr(X, "__getitem__"):
        return False
    # DataFrames, their columns, and in-memory arrays of other libraries.
    if any(hasattr(X, name) for name in ("to_numpy", "__dataframe__")):
        return False
    return _is_array(X) or (hasattr(X, "__len__") and not hasattr(X, "__array__") and not hasattr(X, "shape"))


def pieces(X: Any) -> Iterator[Any]:
    """Yield X in pieces; rows in memory are a single piece."""
    return X.blocks() if isinstance(X, Stored) else iter([X])


class Stored:
    """Rows of a source as an array (n, ...); `stored[rows]` reads only these rows, in any order.

    Parameters
    ----------
    source : an array with shape and dtype that accepts slices and increasing index arrays; or an object with `__len__`
        and `__getitem__` that returns arrays or DataFrames for increasing index arrays. If it has `edges` or `chunks`,
        rows between two of them are read together.
    parse : converts rows of the source to an array (B, ...), and raises a ValueError if they are invalid.
    block_values : largest number of values read at once.

    Attributes
    ----------
    edges : (n_blocks + 1,) increasing row numbers from 0 to n; rows between two of them are best read together.
    """

    def __init__(
        self, source: Any, parse: Callable[[Any], Any] | None = None, *, block_values: int = _BLOCK_VALUES
    ) -> None:
        self.source = source
        self.parse = parse
        n_rows = source.shape[0] if _is_array(source) else len(source)
        first = self[np.arange(min(1, n_rows))]
        self.shape = (n_rows, *first.shape[1:])
        self.dtype = getattr(first, "dtype", None)
        self.edges = _edges(source, self.shape, block_values)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> Any:
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        growing, order = np.unique(rows, return_inverse=True)
        values = self._read(growing)
        if len(rows) == len(growing) and (rows == growing).all():
            return values
        return values.iloc[order] if hasattr(values, "iloc") else values[order]

    def parsed(self, parse: Callable[[Any], Any]) -> Self:
        """Return the same rows with a further function applied to them."""
        before, rows = self.parse, copy.copy(self)
        rows.parse = parse if before is None else lambda values: parse(before(values))
        first = rows[:1]
        rows.shape, rows.dtype = (len(self), *first.shape[1:]), first.dtype
        return rows

    def everything(self) -> Any:
        """Return all rows; those of a memory map as a plain array on top of it."""
        return np.asarray(self.source) if isinstance(self.source, np.memmap) else self[:]

    def blocks(self) -> Iterator[Any]:
        """Yield the rows block by block, in order."""
        return (self[start:stop] for start, stop in pairwise(self.edges.tolist()))

    def in_blocks(self) -> BlockReader:
        """Return the same rows, optimised for reading block by block."""
        return BlockReader(self)

    def _read(self, growing: np.ndarray) -> Any:
        values = _take(self.source, growing)
        if self.parse is None:
            return values
        try:
            return self.parse(values)
        except ValueError as error:
            some = "" if _is_contiguous(growing) else f", among {len(growing)} that were read up to row {growing[-1]}"
            raise ValueError(f"{error} (rows are counted from row {growing[0]} of X{some})") from error


class BlockReader:
    """The rows of a `Stored`, read block by block; the blocks of the last call are cached for the next.

    Parameters
    ----------
    stored : the rows.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.shape = stored.shape
        self.blocks: dict[int, np.ndarray] = {}
        self._free: list[np.ndarray] = []

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        edges = self.stored.edges
        places = np.searchsorted(edges, rows, side="right") - 1
        needed = np.unique(places).tolist()
        self._free += [self.blocks.pop(block) for block in self.blocks.keys() - set(needed)]
        values = np.empty((len(rows), *self.shape[1:]), self.stored.dtype)
        for block in needed:
            if block not in self.blocks:
                self.blocks[block] = self._read(block)
            here = places == block
            values[here] = self.blocks[block][rows[here] - edges[block]]
        return values

    def _read(self, block: int) -> np.ndarray:
        start, stop = self.stored.edges[block : block + 2]
        # Reuses the memory of a block that is no longer needed, since blocks of many lengths would fragment memory.
        longest = int(np.diff(self.stored.edges).max())
        place = self._free.pop() if self._free else np.empty((longest, *self.shape[1:]), self.stored.dtype)
        place[: stop - start] = self.stored[start:stop]
        return place


class Converted:
    """Rows of an array (n, ...) that are converted slice by slice when they are needed.

    Parameters
    ----------
    rows : the array, or an object that is indexed like one.
    convert : maps rows (B, ...) to rows of the same shape.
    """

    def __init__(self, rows: Any, convert: Callable[[np.ndarray], np.ndarray]) -> None:
        self.rows = rows
        self.convert = convert
        self.shape = rows.shape
        self.dtype = convert(np.zeros((1, *rows.shape[1:]), rows.dtype)).dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return self.convert(self.rows[rows])

    @property
    def edges(self) -> np.ndarray:
        """See `Stored`; missing if the array has none."""
        edges: np.ndarray = self.rows.edges
        return edges

    def in_blocks(self) -> Converted:
        """See `Stored.in_blocks`."""
        return Converted(in_blocks(self.rows), self.convert)


class Joined:
    """The concatenated rows of two arrays, without copying them.

    Parameters
    ----------
    first, second : (n, ...) and (m, ...), each with shape and dtype.
    """

    def __init__(self, first: Any, second: Any) -> None:
        if first.shape[1:] != second.shape[1:]:
            raise ValueError(
                f"X holds samples of shape {first.shape[1:]}, but unlabeled holds samples of {second.shape[1:]}. Pass "
                "samples of one shape."
            )
        self.parts: tuple[tuple[Any, int], ...] = (first, 0), (second, first.shape[0])
        self.shape = (first.shape[0] + second.shape[0], *first.shape[1:])
        self.dtype = np.result_type(first.dtype, second.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for part, start in self.parts:
            here = (rows >= start) & (rows < start + part.shape[0])
            if here.any():
                values[here] = part[rows[here] - start]
        return values

    @property
    def edges(self) -> np.ndarray:
        """See `Stored`."""
        if not any(hasattr(part, "edges") for part, _ in self.parts):
            return np.array([0, len(self)])
        return np.unique(np.concatenate([start + edges_of(part) for part, start in self.parts]))

    def in_blocks(self) -> Joined:
        """See `Stored.in_blocks`."""
        joined = copy.copy(self)
        joined.parts = tuple((in_blocks(part), start) for part, start in self.parts)
        return joined


def edges_of(rows: Any) -> np.ndarray:
    """Return the boundaries of blocks of rows; rows in memory are a single block."""
    return np.asarray(getattr(rows, "edges", (0, rows.shape[0])))


def in_blocks(rows: Any) -> Any:
    """Return rows optimised for reading block by block; rows in memory are returned unchanged."""
    return rows.in_blocks() if hasattr(rows, "in_blocks") else rows


def _is_array(source: Any) -> bool:
    return isinstance(getattr(source, "dtype", None), np.dtype) and hasattr(source, "shape")


def _edges(source: Any, shape: tuple[int, ...], block_values: int) -> np.ndarray:
    if hasattr(source, "edges"):
        return np.asarray(source.edges)
    n_rows, *rest = shape
    (chunk, *_) = getattr(source, "chunks", None) or (1,)
    if isinstance(chunk, tuple):
        # Chunks of dask may have any lengths.
        return np.cumsum([0, *chunk])
    most = max(1, block_values // max(1, math.prod(rest)) // chunk)
    least = most // 2 + 1
    # Block lengths differ, so that readers of several blocks do not reach the ends of all at the same time.
    lengths = np.random.default_rng(0).integers(least, most + 1, n_rows // (least * chunk) + 1) * chunk
    return np.unique(np.minimum(np.cumsum([0, *lengths]), n_rows))


# -- reading ----------------------------------------------------------------------------------------


def _take(source: Any, growing: np.ndarray) -> Any:
    """Read rows by an increasing index array."""
    if _is_array(source):
        return _take_from_array(source, growing)
    fault = f"X is a {type(source).__name__}, which for an index array of {len(growing)} gave {{}}: {_REMEDY}"
    try:
        rows = source[growing]
    except (TypeError, LookupError) as error:
        raise ValueError(fault.format(repr(error))) from error
    if not hasattr(rows, "columns"):
        # With a string dtype, all texts would take the memory of the longest.
        rows = np.asarray(rows, dtype=object if isinstance(rows, list) and isinstance(rows[0], str) else None)
    if not rows.shape or len(rows) != len(growing):
        raise ValueError(fault.format(f"something of shape {rows.shape}"))
    return rows


def _take_from_array(source: Any, growing: np.ndarray) -> np.ndarray:
    # zarr's name for indexing by row, which is what others do by default.
    by_index = getattr(source, "oindex", source)
    values = np.empty((len(growing), *source.shape[1:]), source.dtype)
    step = max(1, len(growing)) if _is_contiguous(growing) else _FEW_ROWS
    for i in range(0, len(growing), step):
        few = growing[i : i + step]
        start, stop = int(few[0]), int(few[-1]) + 1
        values[i : i + step] = source[start:stop] if _is_contiguous(few) else by_index[few]
        release_pages(source, start, stop)
    return values


def _is_contiguous(growing: np.ndarray) -> bool:
    return len(growing) == 0 or int(growing[-1] - growing[0]) == len(growing) - 1


def release_pages(source: Any, start: int, stop: int) -> None:
    """Release the pages of a memory map that were loaded by reading its rows.

    They would count as memory of this process. The system's cache keeps them while there is room.
    """
    mapped = getattr(source, "_mmap", None)
    # Values written into a map of mode "c" exist only in its pages.
    if not isinstance(mapped, mmap.mmap) or source.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    rows = source[start:stop]
    first, last = 0, len(mapped)
    if rows.flags.c_contiguous:
        begin = rows.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
        first = max(first, begin - _READAHEAD_BYTES) // mmap.PAGESIZE * mmap.PAGESIZE
        last = min(last, begin + rows.nbytes + _READAHEAD_BYTES)
    mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
