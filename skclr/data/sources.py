"""The types of X: arrays, frames, sequences, tensors, images, folders, files, and rows larger than memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skclr.data.columns import is_missing
from skclr.data.files import IMAGE_SUFFIXES, images_in, is_picture, to_pixels, visible_files
from skclr.data.parquet import ParquetRows
from skclr.data.stored import Stored, is_stored

# Number of values up to which data are read at once, 256 MiB of float32.
_MOST_IN_MEMORY = 2**26
# A tuple of more arrays than this, and of more arrays than each has rows, holds samples.
_MOST_VIEWS = 8
_SAMPLES = "Pass an array, a DataFrame, or a list with one sample per entry"
_READERS = {
    ".parquet": "pathlib.Path(X)",
    ".csv": "pandas.read_csv(X)",
    ".tsv": "pandas.read_csv(X, sep='\\t')",
    ".npy": "np.load(X, mmap_mode='r')",
    ".npz": "np.load(X)['X'], if that is the name of the array",
    **dict.fromkeys(IMAGE_SUFFIXES, "[X], with modality='image'"),
}


def open_source(X: Any) -> Any:
    """Return X as arrays, frames, sequences or `Stored` rows, as modalities expect.

    The path of a Parquet file or folder becomes its rows, and that of a folder of images its images. Data on disk
    become `Stored` rows, or an array if they are small. A tensor becomes an array. A Series or an object array of
    arrays, tensors or images becomes a list of arrays, and a tuple of samples, like any other sequence, becomes a list.
    A tuple of views (see `holds_views`), and anything else that holds samples, is returned unchanged. A dask DataFrame,
    whose length is unknown, is computed.

    Raises
    ------
    ValueError, TypeError : if X holds no samples, or is an iterator; the message says what to pass instead.
    """
    if isinstance(X, tuple) and X:
        return X if holds_views(X) else open_source(list(X))
    if is_of_unknown_length(X):
        X = X.compute()
    _check(X)
    if isinstance(X, os.PathLike):
        X = _open_path(Path(X))
    X = _in_memory(X)
    if isinstance(X, torch.Tensor):
        return to_array(X)
    if isinstance(X, memoryview) or (hasattr(X, "__array__") and not hasattr(X, "shape") and not is_stored(X)):
        return np.asarray(X)
    if not is_stored(X):
        return _as_arrays(X)
    rows = _as_stored(X)
    few = len(rows.shape) == 1 or math.prod(rows.shape) <= _MOST_IN_MEMORY
    return rows.everything() if few else rows


def is_lazy(X: Any) -> bool:
    """Return whether X is a dask collection, without importing dask."""
    return hasattr(X, "__dask_graph__")


def is_of_unknown_length(X: Any) -> bool:
    """Return whether X is a dask DataFrame or a column of one, which only computing it can count."""
    return hasattr(X, "map_partitions")


def holds_views(X: tuple[Any, ...], *, paired: bool = False) -> bool:
    """Return whether a tuple holds several views of each sample instead of one sample per entry.

    It holds samples if its entries are texts, numbers, files, images, rows of numbers or 8-bit colour images (H, W, 3
    or 4), or other arrays, if there are more than 8 and more than the rows of each. It holds views if its entries are
    frames, folders, lists of samples or arrays of 4 or more dimensions, or up to 8 other arrays, if each has at least
    as many rows.

    Parameters
    ----------
    X : a tuple that is not empty.
    paired : whether ambiguous arrays are views.

    Raises
    ------
    ValueError : if the entries are ambiguous, or are samples and their labels.
    """
    first = X[0]
    if _is_single(first):
        return False
    shape = tuple(getattr(first, "shape", ()))
    if len(X) == 2 and _are_labels(X[1], first):
        raise ValueError(
            "X is a tuple of samples and of one value for each, like labels. Pass fit(X[0], X[1]), or transform(X[0])."
        )
    if len(shape) not in (2, 3) or not isinstance(first, np.ndarray | torch.Tensor) or paired:
        return True
    if len(shape) == 3 and shape[-1] in (3, 4) and str(first.dtype).endswith("uint8"):
        return False
    if len(X) <= min(_MOST_VIEWS, shape[0]):
        return True
    if len(X) > max(_MOST_VIEWS, shape[0]):
        return False
    raise ValueError(
        f"X is a tuple of {len(X)} arrays of shape {shape}, which could be {len(X)} samples, or {len(X)} views of "
        f"{shape[0]} samples. Pass list(X) for samples, or np.stack(X, 1) with views='paired' for views."
    )


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array that shares its memory if possible.

    Raises
    ------
    ValueError : if the tensor is sparse, quantised, or on the meta device.
    """
    values = tensor.detach().cpu() if tensor.device.type != "meta" else tensor
    try:
        return (values.float() if values.dtype == torch.bfloat16 else values.resolve_conj().resolve_neg()).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"X is a tensor of layout {tensor.layout} and dtype {tensor.dtype} on {tensor.device}, not an array. "
            "Pass a dense tensor of numbers, for example X.to_dense()."
        ) from error


def _is_single(entry: Any) -> bool:
    """Return whether the first entry of a tuple can only be one sample."""
    if isinstance(entry, os.PathLike):
        return Path(entry).suffix != ".parquet" and not os.path.isdir(entry)
    if entry is None or isinstance(entry, str | bytes | Number) or is_missing(entry) or is_picture(entry):
        return True
    if isinstance(entry, list | tuple):
        # A list of texts or of arrays holds several samples; a list of numbers, or of lists of values, is one sample.
        inner = next(iter(entry), None)
        return isinstance(inner, Number) or (
            isinstance(inner, list | tuple) and isinstance(next(iter(inner), None), Number | str)
        )
    shape, dtype = getattr(entry, "shape", None), getattr(entry, "dtype", None)
    if shape is None or hasattr(entry, "columns") or issparse(entry):
        return False
    return len(shape) == 0 or (len(shape) == 1 and _is_numeric(dtype))


def _are_labels(y: Any, X: Any) -> bool:
    """Return whether y has one value for each sample of X, and samples have more than one value."""
    n_dims = len(getattr(X, "shape", ())) or (isinstance(X, list) and 1 + np.ndim(X[0] if X else 0))
    one_each = len(getattr(y, "shape", ())) == 1 or (isinstance(y, list) and all(isinstance(v, Number) for v in y))
    return n_dims > 1 and one_each and len(y) == len(X)


def _is_numeric(dtype: Any) -> bool:
    if isinstance(dtype, torch.dtype):
        return True
    return getattr(dtype, "kind", "") in "biuf" if not hasattr(dtype, "is_numeric") else bool(dtype.is_numeric())


# -- sequences of arrays ------------------------------------------------------------------------------


def _as_arrays(X: Any) -> Any:
    """Return a sequence of tensors or images, or a column of arrays, as a list of arrays; otherwise X itself.

    Raises
    ------
    ValueError : if X is a frame with arrays or images in its only column.
    """
    if hasattr(X, "columns") and len(X.columns) == 1:
        name = X.columns[0]
        cell = next((cell for cell in X[name] if not is_missing(cell)), None)
        if is_picture(cell) or isinstance(cell, np.ndarray | torch.Tensor | os.PathLike):
            raise ValueError(
                f"X has one column, {name!r}, of {type(cell).__name__} objects. Pass that column, X[{name!r}]."
            )
    if isinstance(X, Sequence):
        # A deque, for example, is not a list.
        X = X if isinstance(X, list | tuple) else list(X)
    column = not isinstance(X, list) and not hasattr(X, "columns") and len(getattr(X, "shape", ())) == 1
    if not (isinstance(X, list) or column):
        return X
    first = next((sample for sample in X if not is_missing(sample)), None)
    if isinstance(first, torch.Tensor):
        return [to_array(sample) if isinstance(sample, torch.Tensor) else sample for sample in X]
    if is_picture(first):
        return [to_pixels(sample, row) if is_picture(sample) else sample for row, sample in enumerate(X)]
    if column and (isinstance(first, list) or len(getattr(first, "shape", ())) > 0):
        return X.to_list() if hasattr(X, "to_list") else list(X)
    _check_sample(first)
    return X


def _check_sample(first: Any) -> None:
    """Raise a TypeError if the first entry of a sequence cannot be a sample."""
    if isinstance(first, Mapping):
        raise TypeError("X holds dicts. Pass pandas.DataFrame(X) if they are rows of a table.")
    # A user-defined class with its own repr counts as a value, such as a category.
    describes_itself = getattr(type(first), "__repr__", None) is not getattr(object, "__repr__", None)
    if isinstance(first, Iterator | Set | Dataset) or not (describes_itself or np.ndim(first)):
        raise TypeError(f"X holds objects of the type {type(first).__name__}. {_SAMPLES}.")
    if (
        isinstance(first, tuple)
        and len(first) == 2
        and len(getattr(first[0], "shape", ())) > 1
        and not np.ndim(first[1])
    ):
        raise TypeError("X holds tuples of a sample and its label. Pass them separately, X, y = zip(*X).")


# -- checks -------------------------------------------------------------------------------------------


def _check(X: Any) -> None:
    """Raise a ValueError or TypeError if X is not a sequence of samples."""
    kind = type(X).__name__
    if isinstance(X, str | os.PathLike):
        _check_path(X)
    elif isinstance(X, bytes | bytearray):
        raise TypeError(f"X is one {kind} object, not a sequence of samples. Decode it and wrap it in a list, [text].")
    elif isinstance(X, DataLoader):
        raise TypeError("X is a DataLoader. Pass its samples as one array, np.concatenate([batch for batch, *_ in X]).")
    elif isinstance(X, TensorDataset):
        raise TypeError("X is a TensorDataset. Pass the tensor that holds the samples, X.tensors[0].")
    elif kind == "LazyFrame":
        raise TypeError("X is a LazyFrame, whose rows are not computed yet. Pass X.collect().")
    elif isinstance(X, Iterator):
        raise TypeError(f"X is a {kind}, which can be read only once. Pass list(X).")
    elif isinstance(X, Mapping) and not hasattr(X, "shape"):
        # Some sparse matrices are dictionaries.
        raise TypeError(f"X is a {kind}. {_SAMPLES}, for example pandas.DataFrame(X).")
    elif isinstance(X, Set) or type(X).__name__ in ("dict_values", "odict_values"):
        raise TypeError(f"X is a {kind}, whose entries have no order. Pass list(X).")
    elif getattr(X, "shape", None) == () or isinstance(X, Number):
        what = f"0-D {kind}" if hasattr(X, "__array__") and not isinstance(X, np.generic) else kind
        raise TypeError(f"X is a {what}, one value. {_SAMPLES}.")
    elif not _holds_samples(X):
        hint = ", for example X.to_pandas()" if hasattr(X, "to_pandas") else ""
        raise TypeError(f"X is a {kind}. {_SAMPLES}{hint}.")


def _holds_samples(X: Any) -> bool:
    if isinstance(X, type) or (callable(X) and not hasattr(X, "shape")):
        return False
    if isinstance(X, Sequence | torch.Tensor | Stored | memoryview) or issparse(X) or is_stored(X):
        return True
    # A shape is not enough for an array, since rows of some data sets are dictionaries.
    names = ("__array__", "__array_interface__", "__dataframe__", "to_numpy", "to_list")
    return any(hasattr(X, name) for name in names) or (hasattr(X, "shape") and hasattr(X, "dtype"))


def _check_path(X: Any) -> None:
    path = Path(X)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):
        # Some strings cannot be file names.
        is_folder = is_file = False
    suffix = path.suffix.lower()
    if isinstance(X, str) and is_folder:
        raise ValueError(f"X={X!r} names a folder as str. Pass pathlib.Path(X).")
    if is_file and (isinstance(X, str) or suffix != ".parquet"):
        remedy = f"pass {_READERS[suffix]}" if suffix in _READERS else "pass what X holds, read into an array"
        raise ValueError(f"X={str(X)!r} is one path, of a file: {remedy}.")
    if isinstance(X, str):
        raise TypeError("X is one str, not a sequence of samples. Wrap it in a list, [X].")


# -- rows on disk -------------------------------------------------------------------------------------


def _as_stored(X: Any) -> Stored:
    if not isinstance(X, Dataset):
        return Stored(X)
    try:
        return Stored(X)
    except (TypeError, LookupError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise TypeError(
            f"X is a {type(X).__name__}, a torch data set that returns one sample at a time. Pass its samples as one "
            "array, np.stack([sample for sample, *_ in X])."
        ) from error


def _in_memory(X: Any) -> Any:
    """Convert Arrow tables to DataFrames; return anything else unchanged."""
    if is_lazy(X) and any(math.isnan(n) for n in X.shape):
        raise ValueError("X is a dask array of unknown length. Call X.compute_chunk_sizes() first.")
    return X.to_pandas() if hasattr(X, "to_pandas") and hasattr(X, "column_names") else X


def _open_path(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"X={str(path)!r} does not exist. Correct the path.")
    if path.suffix == ".parquet" or (path.is_dir() and visible_files(path, "*.parquet")):
        return ParquetRows(path)
    if path.is_dir():
        return images_in(path)
    raise ValueError(
        f"X={str(path)!r} is one file. Read it first, for example with pandas.read_csv or numpy.load, or pass a list "
        "of image files or the pathlib.Path of a folder."
    )
