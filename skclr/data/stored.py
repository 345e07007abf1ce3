"""Rows that stay where they are kept until they are asked for: arrays on disk, Parquet, objects of the user's own."""

from __future__ import annotations

import copy
import math
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

# Most values that are read in one piece, as 8 MiB of float32.
_BLOCK = 2**21
# Rows here and there that are taken out of a map before its pages are given back.
_FEW = 1_024
# Bytes beside those that are read, within which the system brings pages along.
_AROUND = 2**20
_REMEDY = "give an object that takes one to as many rows, as an array or a DataFrame"


def is_stored(X: Any) -> bool:
    """Return whether X reads rows when it is indexed: memory maps, zarr, h5py, dask, `ParquetRows`."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap)
    if isinstance(X, Stored | Sequence | Mapping | Set) or issparse(X) or not hasattr(X, "__getitem__"):
        return False
    # DataFrames, their columns, and arrays of other libraries that are in memory.
    if any(hasattr(X, name) for name in ("to_numpy", "__dataframe__")):
        return False
    return _is_array(X) or (hasattr(X, "__len__") and not hasattr(X, "__array__") and not hasattr(X, "shape"))


def pieces(X: Any) -> Iterator[Any]:
    """Yield X piece by piece; rows in memory are one piece."""
    return X.blocks() if isinstance(X, Stored) else iter([X])


class Stored:
    """Rows of a source, as an array (n, ...); `stored[rows]` reads these, growing or not, and no others.

    Parameters
    ----------
    source : an array with shape and dtype that takes slices and growing index arrays; or an object with `__len__` and
        `__getitem__` that takes growing index arrays to arrays or DataFrames. Where it has `edges` or `chunks`, rows
        between two of them are read together.
    parse : takes rows of the source to an array (B, ...), and raises a ValueError for those that are wrong.

    Attributes
    ----------
    edges : (n_blocks + 1,) growing row numbers, from 0 to n; what lies between two is a piece worth one read.
    """

    def __init__(self, source: Any, parse: Callable[[Any], Any] | None = None) -> None:
        self.source = source
        self.parse = parse
        n_rows = source.shape[0] if _is_array(source) else len(source)
        first = self[np.arange(min(1, n_rows))]
        self.shape = (n_rows, *first.shape[1:])
        self.dtype = getattr(first, "dtype", None)
        self.edges = _edges(source, self.shape)

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
        """Return the same rows as a function makes them; it takes what these rows are now."""
        before, rows = self.parse, copy.copy(self)
        rows.parse = parse if before is None else lambda values: parse(before(values))
        first = rows[:1]
        rows.shape, rows.dtype = (len(self), *first.shape[1:]), first.dtype
        return rows

    def everything(self) -> Any:
        """Return all rows; of a memory map as a plain array over it."""
        return np.asarray(self.source) if isinstance(self.source, np.memmap) else self[:]

    def blocks(self) -> Iterator[Any]:
        """Yield the rows block by block, in their order."""
        return (self[start:stop] for start, stop in pairwise(self.edges.tolist()))

    def in_blocks(self) -> BlockReader:
        """Return the same rows for a reader who takes them block by block."""
        return BlockReader(self)

    def _read(self, growing: np.ndarray) -> Any:
        values = _take(self.source, growing)
        if self.parse is None:
            return values
        try:
            return self.parse(values)
        except ValueError as error:
            some = "" if _lie_together(growing) else f", among {len(growing)} that were read up to row {growing[-1]}"
            raise ValueError(f"{error} (rows are counted from row {growing[0]} of X{some})") from error


class BlockReader:
    """The rows of a `Stored`, read block by block; blocks that the last call needed lie ready for the next.

    Parameters
    ----------
    stored : whose rows they are.
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
        # In the place of one that is over: memory would get holes from blocks of many lengths, and grow.
        longest = int(np.diff(self.stored.edges).max())
        place = self._free.pop() if self._free else np.empty((longest, *self.shape[1:]), self.stored.dtype)
        place[: stop - start] = self.stored[start:stop]
        return place


class Converted:
    """Rows of an array (n, ...) that are converted slice by slice, as they are asked for.

    Parameters
    ----------
    rows : the array, or what is indexed as one.
    convert : takes rows (B, ...) to as many of the same shape.
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
        """See `Stored`; there are none where the array has none."""
        edges: np.ndarray = self.rows.edges
        return edges

    def in_blocks(self) -> Converted:
        """See `Stored.in_blocks`."""
        return Converted(in_blocks(self.rows), self.convert)


class Joined:
    """Rows of two arrays, one after the other, without a copy of either.

    Parameters
    ----------
    first, second : (n, ...) and (m, ...), each with shape and dtype.
    """

    def __init__(self, first: Any, second: Any) -> None:
        if first.shape[1:] != second.shape[1:]:
            raise ValueError(
                f"X and unlabeled hold samples of shapes {first.shape[1:]} and {second.shape[1:]}: give samples of one"
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
    """Return where blocks of rows begin, and the end of the last; rows in memory are one block."""
    return np.asarray(getattr(rows, "edges", (0, rows.shape[0])))


def in_blocks(rows: Any) -> Any:
    """Return rows for a reader who takes them block by block: those in memory as they are."""
    return rows.in_blocks() if hasattr(rows, "in_blocks") else rows


def _is_array(source: Any) -> bool:
    return isinstance(getattr(source, "dtype", None), np.dtype) and hasattr(source, "shape")


def _edges(source: Any, shape: tuple[int, ...]) -> np.ndarray:
    if hasattr(source, "edges"):
        return np.asarray(source.edges)
    n_rows, *rest = shape
    (chunk, *_) = getattr(source, "chunks", None) or (1,)
    if isinstance(chunk, tuple):
        # dask's are of any lengths.
        return np.cumsum([0, *chunk])
    most = max(1, _BLOCK // max(1, math.prod(rest)) // chunk)
    least = most // 2 + 1
    # Of unequal lengths: those who read several beside each other do not come to the end of all at once.
    lengths = np.random.default_rng(0).integers(least, most + 1, n_rows // (least * chunk) + 1) * chunk
    return np.unique(np.minimum(np.cumsum([0, *lengths]), n_rows))


# -- reading ----------------------------------------------------------------------------------------


def _take(source: Any, growing: np.ndarray) -> Any:
    """Read rows by growing index."""
    if _is_array(source):
        return _take_from_array(source, growing)
    fault = f"X is a {type(source).__name__}, which for an index array of {len(growing)} gave {{}}: {_REMEDY}"
    try:
        rows = source[growing]
    except (TypeError, LookupError) as error:
        raise ValueError(fault.format(repr(error))) from error
    if not hasattr(rows, "columns"):
        # As an array of their own dtype texts would all be as long as the longest.
        rows = np.asarray(rows, dtype=object if isinstance(rows, list) and isinstance(rows[0], str) else None)
    if not rows.shape or len(rows) != len(growing):
        raise ValueError(fault.format(f"something of shape {rows.shape}"))
    return rows


def _take_from_array(source: Any, growing: np.ndarray) -> np.ndarray:
    # What zarr calls indexing by row alone; others do nothing else.
    by_index = getattr(source, "oindex", source)
    values = np.empty((len(growing), *source.shape[1:]), source.dtype)
    step = max(1, len(growing)) if _lie_together(growing) else _FEW
    for i in range(0, len(growing), step):
        few = growing[i : i + step]
        start, stop = int(few[0]), int(few[-1]) + 1
        values[i : i + step] = source[start:stop] if _lie_together(few) else by_index[few]
        let_go(source, start, stop)
    return values


def _lie_together(growing: np.ndarray) -> bool:
    return len(growing) == 0 or int(growing[-1] - growing[0]) == len(growing) - 1


def let_go(source: Any, start: int, stop: int) -> None:
    """Release the pages of a map that were brought in by reading its rows.

    They would count as memory of this process; the system's cache keeps them as long as there is room.
    """
    mapped = getattr(source, "_mmap", None)
    # What was written into a map of mode "c" is nowhere but in its pages.
    if not isinstance(mapped, mmap.mmap) or source.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    rows = source[start:stop]
    first, last = 0, len(mapped)
    if rows.flags.c_contiguous:
        begin = rows.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
        first = max(first, begin - _AROUND) // mmap.PAGESIZE * mmap.PAGESIZE
        last = min(last, begin + rows.nbytes + _AROUND)
    mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
