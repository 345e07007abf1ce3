"""Columns of one value per row, by position, from any container."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from numbers import Number
from typing import Any

import numpy as np
from scipy.sparse import issparse


def n_values(values: Any) -> int | None:
    """Return the number of rows of an array-like; None if it is unknown before reading."""
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and shape:
        # The number of rows of a dask frame is not known yet.
        return int(shape[0]) if isinstance(shape[0], int | np.integer) else None
    return len(values) if hasattr(values, "__len__") and shape != () else None


def check_length(argument: str, values: Any, n_samples: int) -> None:
    """Raise a ValueError unless an argument has one value per row of X."""
    length = n_values(values)
    if length not in (None, n_samples):
        raise ValueError(f"{argument} has {length} values, but X has {n_samples} rows. Pass one value per row.")


def to_column(argument: str, values: Any) -> np.ndarray:
    """Return the values by position, whatever the container and its index.

    Parameters
    ----------
    argument : name of the argument in error messages.
    values : array, sequence, pandas or polars Series, tensor, dask or Arrow array, or a single column of these.

    Returns
    -------
    (n,) array, with the container's numpy dtype if it has one, else of objects. Masked values are None.

    Raises
    ------
    TypeError : if `values` has no order or is not array-like.
    ValueError : if there are several columns.
    """
    if hasattr(values, "dask") and hasattr(values, "compute"):
        values = values.compute()
    if issparse(values):
        raise TypeError(f"{argument} is a sparse matrix. Pass a dense array with one value per row.")
    if hasattr(values, "columns") and hasattr(values, "shape"):
        _check_one_column(argument, values.shape)
        first = values.columns[0]
        # Iterating over an Arrow table yields columns, over a data frame their names.
        values = first if hasattr(first, "to_pylist") else values[first]
    if isinstance(getattr(values, "dtype", None), np.dtype):
        array = _without_mask(values)
    elif (to_list := _list_method(values)) is not None:
        listed = to_list()
        array = _objects(listed) if isinstance(listed, list) else np.asarray(listed)
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        array = _objects(values)
    elif hasattr(values, "__array__"):
        array = np.asarray(values)
    else:
        raise TypeError(
            f"{argument} is a {type(values).__name__}. Pass an array, a list or a Series with one value per row."
        )
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {argument} has dtype {array.dtype}.")
    if array.dtype.kind == "V":
        raise TypeError(f"{argument} has dtype {array.dtype}. Pass one number or string per row.")
    if array.ndim == 0:
        raise TypeError(f"{argument} is a single value. Pass one value per row.")
    _check_one_column(argument, array.shape)
    return array.reshape(len(array))


def distinct(argument: str, column: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values of a column, with missing ones as a single None, and the index of each row's value.

    Raises
    ------
    TypeError : if a value cannot be a label or an id, such as a list.
    """
    if column.dtype.kind in "biufUSM":
        values, codes = np.unique(column, return_inverse=True)
        return [None if is_missing(value) else value for value in values], codes
    numbers: dict[Hashable, int] = {}
    codes = np.fromiter(
        (numbers.setdefault(_plain(argument, value), len(numbers)) for value in column), np.int64, len(column)
    )
    return list(numbers), codes


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT, pandas.NA or masked."""
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    # NaN and numpy's NaT differ from themselves.
    return isinstance(value, Number | np.generic) and bool(value != value)


def _plain(argument: str, value: Any) -> Hashable:
    """Return a value of an object column in a form in which equal values have equal hashes."""
    if is_missing(value):
        return None
    if isinstance(value, str | bytes | Number | np.generic):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return _plain(argument, value.item())
    if hasattr(value, "__len__") or hasattr(value, "__array__") or not isinstance(value, Hashable):
        raise TypeError(f"{argument} holds a {type(value).__name__}. Pass one number or string per row.")
    return value


def _list_method(values: Any) -> Any:
    """Return the method of Arrow, polars, pandas or torch that returns a list of Python values."""
    names = ("to_pylist", "to_list", "tolist")
    return next((method for name in names if (method := getattr(values, name, None)) is not None), None)


def _objects(values: Sequence[Any]) -> np.ndarray:
    """Return a sequence as an array of objects, since numpy would convert numbers among strings to strings."""
    column = np.fromiter(values, object, len(values))
    if all(isinstance(value, list | tuple) for value in column) and len({len(value) for value in column}) == 1:
        return np.array([*column], dtype=object)
    return column


def _without_mask(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if np.ma.is_masked(values):
        array = array.astype(object)
        array[np.ma.getmaskarray(values)] = None
    return array


def _check_one_column(argument: str, shape: tuple[int, ...]) -> None:
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        columns = f"{shape[1]} columns" if len(shape) == 2 else f"shape {tuple(shape)}"
        raise ValueError(f"{argument} has {columns}. Pass a single column, one value per row.")
