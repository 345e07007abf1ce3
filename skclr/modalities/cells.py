"""Reading the cells of a table: numbers, categories, or neither."""

from __future__ import annotations

import os
import reprlib
from collections import Counter
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor, nn

from skclr.data.columns import is_missing
from skclr.data.files import IMAGE_SUFFIXES
from skclr.data.stored import pieces
from skclr.modalities.base import unmasked
from skclr.modalities.categories import is_number, parse_number

_CATEGORY_NAMES = {"category", "bool", "boolean", "str", "string", "String", "Boolean", "Categorical", "Enum"}
# The names of Arrow types in pandas.
_CATEGORY_NAMES |= {"large_string", "string_view", "dictionary<values=string, indices=int32, ordered=0>"}
_NUMBERS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "accept_sparse": "csr"}


def is_frame(X: Any) -> bool:
    """Return whether X is a pandas or polars DataFrame."""
    return hasattr(X, "dtypes") and hasattr(X, "columns")


def as_table(X: Any) -> Any:
    """Return a table as a DataFrame, a sparse matrix or an array, with its cells unchanged.

    Raises
    ------
    ValueError, TypeError : if X is not a table.
    """
    X = unmasked(X)
    if is_frame(X):
        return X
    if isinstance(X, list | tuple):
        return _listed(X)
    if hasattr(X, "to_list"):
        kind = type(X).__name__
        raise ValueError(f"X is one column, a {kind}. Pass a DataFrame, or set modality to what the column holds.")
    return X if issparse(X) else _two_dimensional(np.asarray(X))


def _two_dimensional(X: np.ndarray) -> np.ndarray:
    if X.dtype.kind in "mMV":
        raise ValueError(
            f"X of dtype {X.dtype} is not a table of numbers. Convert dates and records to columns of numbers first."
        )
    if X.ndim != 2:
        raise ValueError(
            f"X of shape {X.shape} is not a table: Expected 2D array, got {X.ndim}D array instead. Reshape your data "
            "with X.reshape(-1, 1) if it is one column, or X.reshape(1, -1) if it is one row."
        )
    return np.char.decode(X, "utf-8", "replace") if X.dtype.kind == "S" else X


def _listed(X: list[Any] | tuple[Any, ...]) -> np.ndarray:
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X is a list whose rows do not form a table ({error}). Pass rows of one length.") from error
    # In an array of strings, 1 and "1" would be the same.
    return _two_dimensional(array if array.dtype.kind in "biufcmM" else np.asarray(X, dtype=object))


# -- kinds of columns ---------------------------------------------------------------------------------


def categorical_columns(X: Any, chosen: Any) -> np.ndarray:
    """Return whether each column holds categories.

    Parameters
    ----------
    X : table with d columns.
    chosen : categorical_features of `Tabular`.

    Returns
    -------
    (d,) bool.

    Raises
    ------
    ValueError : for missing or duplicate columns, and for dtypes that are neither numbers nor categories.
    """
    names = list(X.columns) if is_frame(X) else []
    repeated = [name for name, times in Counter(map(str, names)).items() if times > 1]
    if repeated:
        raise ValueError(f"X has more than one column named {repeated[0]!r}. Rename or drop all but one.")
    n_columns = X.shape[1] if getattr(X, "ndim", 2) == 2 and hasattr(X, "shape") else 0
    if chosen is None or len(chosen) == 0 or (isinstance(chosen, str) and not names):
        return np.zeros(n_columns, dtype=bool)
    if isinstance(chosen, str):
        return _by_dtype(X, np.zeros(n_columns, dtype=bool))
    # An array of objects: in an array of text, names that are numbers would become text.
    listed = np.asarray(chosen, dtype=object)
    values = listed.ravel().tolist()
    is_mask = all(isinstance(value, bool | np.bool_) for value in values)
    if is_mask and listed.shape == (n_columns,):
        return listed.astype(bool)
    by_number = all(isinstance(value, Integral) for value in values)
    places = list(range(n_columns)) if by_number else names
    if listed.ndim != 1 or is_mask or any(value not in places for value in values):
        raise ValueError(
            f"categorical_features={chosen!r} does not fit X of {n_columns} columns. Pass their names, their positions "
            "from 0, or one boolean per column."
        )
    is_listed = np.array([place in values for place in places], dtype=bool)
    return _by_dtype(X, is_listed) if names else is_listed


def _by_dtype(X: Any, chosen: np.ndarray) -> np.ndarray:
    """Return whether each column of a DataFrame holds categories, by `chosen` or by its dtype."""
    is_category = chosen.copy()
    wrong = []
    for place, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if chosen[place]:
            continue
        kind = _kind(dtype, X[name])
        is_category[place] = kind == "category"
        if kind not in ("category", "number"):
            wrong.append(f"{name!r} ({kind})")
    if wrong:
        raise ValueError(
            f"X has columns that are neither numbers nor categories: {', '.join(wrong)}. Drop them, or convert them to "
            "numbers first, for example with skrub.TableVectorizer."
        )
    return is_category


def _kind(dtype: Any, column: Any) -> str:
    """Return "category", "number" or, if a column holds neither, what it holds instead."""
    name = str(dtype)
    if name.split("(")[0].split("[")[0] in _CATEGORY_NAMES:
        return "category"
    if _is_numeric(dtype):
        return "number"
    if getattr(dtype, "kind", "O") in "mM":
        return name
    # Unknown dtypes are classified by their values.
    found = {_kind_of_value(value) for value in column.to_list() if not is_missing(value)}
    if "category" in found:
        return "category"
    other = next(iter(sorted(found - {"number"})), None)
    return "number" if other is None else f"{name}: {other}"


def _kind_of_value(value: Any) -> str:
    if isinstance(value, str | bool | np.bool_):
        return "category"
    return "number" if is_number(value) else type(value).__name__


def _is_numeric(dtype: Any) -> bool:
    if hasattr(dtype, "is_numeric"):
        return bool(dtype.is_numeric())
    return getattr(dtype, "kind", "O") in "iufc"


# -- reading ------------------------------------------------------------------------------------------


def split_frame(X: Any, is_categorical: np.ndarray) -> tuple[Any, np.ndarray]:
    """Split a DataFrame into a DataFrame of the numbers and an object array of the categories."""
    names = list(X.columns)
    numeric = [name for name, c in zip(names, is_categorical, strict=True) if not c]
    # A polars DataFrame without columns has no rows.
    numbers = X[numeric] if numeric else np.empty((len(X), 0))
    columns = [X[name].to_list() for name, c in zip(names, is_categorical, strict=True) if c]
    categories = np.empty((len(X), len(columns)), dtype=object)
    for j, column in enumerate(columns):
        for i, value in enumerate(column):
            categories[i, j] = value
    return numbers, categories


def column_names(X: Any) -> list[Any]:
    """Return the column names of a table, or their positions if it has none."""
    return list(X.columns) if is_frame(X) else list(range(X.shape[1] if getattr(X, "ndim", 0) == 2 else 0))


def read_numbers(X: Any, names: list[Any], estimator: BaseEstimator | None = None, *, reset: bool = False) -> Any:
    """Return the numbers of a table as a float array or CSR matrix, NaN where a value is missing.

    Parameters
    ----------
    X : as `as_table` returns it.
    names : column names, for errors.
    estimator : scikit-learn's validation records the features on it; None skips that.
    reset : as for `Modality.read`.

    Raises
    ------
    ValueError, TypeError : for a value that is not a number; the message names its row and column.
    """
    if is_frame(X) and not _is_sparse_frame(X):
        if estimator is not None:
            validate_data(estimator, X, reset=reset, skip_check_array=True)
        return check_array(_numbers_of_frame(X), **_NUMBERS)
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OSU":
        numbers = np.empty(X.shape)
        for j, name in enumerate(names):
            numbers[:, j] = _to_floats(X[:, j].tolist(), name)
        X = numbers
    return check_array(X, **_NUMBERS) if estimator is None else validate_data(estimator, X, reset=reset, **_NUMBERS)


def _is_sparse_frame(X: Any) -> bool:
    """Return whether all columns are sparse pandas columns whose fill value is zero."""
    return len(X.columns) > 0 and all(getattr(dtype, "fill_value", None) == 0 for dtype in X.dtypes)


def _numbers_of_frame(X: Any) -> np.ndarray:
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in X.dtypes):
        return np.asarray(X)
    numbers = np.empty((len(X), len(X.columns)))
    for j, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        numbers[:, j] = _numbers_of_column(X[name], name, dtype)
    return numbers


def _numbers_of_column(column: Any, name: Any, dtype: Any) -> np.ndarray:
    kind = getattr(dtype, "kind", "O")
    if kind in "mM":
        raise TypeError(
            f"X holds {dtype} in column {name!r}, where a table needs numbers. Convert dates and durations to numbers."
        )
    if kind in "biuf":
        # pandas dtypes with missing values, Arrow's included.
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if hasattr(dtype, "is_float") and (dtype.is_float() or dtype.is_integer()):
        return column.cast(float).to_numpy()
    return _to_floats(column.to_list(), name)


def _to_floats(values: list[Any], name: Any) -> np.ndarray:
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            numbers[row] = value if isinstance(value, float) else _to_float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise _not_a_number(value, f"in row {row} of column {name!r}", error) from error
    return numbers


def _to_float(value: Any) -> float:
    if isinstance(value, str):
        return float(parse_number(value))
    if is_number(value):
        return float(value)
    if is_missing(value):
        return np.nan
    raise TypeError(f"float() argument must be a string or a real number, not {type(value).__name__!r}")


def _not_a_number(value: Any, place: str, error: Exception) -> Exception:
    shown = reprlib.repr(value)
    if isinstance(value, str):
        return ValueError(
            f"X holds text where a table needs numbers, {shown} {place}. Pass a number or NaN there or, before fit, "
            "name the column in modality_params={'categorical_features': ...}."
        )
    if isinstance(error, OverflowError):
        return ValueError(f"X holds {shown} {place}, which is too large for a float. Rescale the column.")
    return TypeError(
        f"X holds {shown} {place}, where a table needs numbers ({error}). Convert it to a number, or drop the column."
    )


def column_statistics(table: Any) -> tuple[np.ndarray, ...]:
    """Return whether each column has gaps, and its mean and standard deviation."""
    gaps, scaler = np.zeros(table.shape[1], dtype=bool), StandardScaler()
    low, high = np.full((2, table.shape[1]), np.nan)
    for rows in pieces(table):
        gaps |= np.isnan(rows).any(axis=0)
        low, high = np.fmin(low, lowest(rows)), np.fmax(high, highest(rows))
        if hasattr(scaler, "mean_"):
            # A column without a value so far has a mean of NaN, which cannot be updated.
            scaler.mean_, scaler.var_ = np.nan_to_num(scaler.mean_), np.nan_to_num(scaler.var_)
        with np.errstate(invalid="ignore"):
            scaler.partial_fit(rows)
    # If numbers are large, the mean of a constant column is rounded, and columns that vary little are scaled by 1, as
    # if they were constant.
    return gaps, np.clip(scaler.mean_, low, high), np.maximum(scaler.scale_, np.sqrt(scaler.var_))


def highest(table: Any) -> np.ndarray:
    """Return the largest value of each column."""
    return table.max(axis=0).toarray().ravel() if issparse(table) else np.fmax.reduce(table, axis=0)


def lowest(table: Any) -> np.ndarray:
    """Return the smallest value of each column."""
    return table.min(axis=0).toarray().ravel() if issparse(table) else np.fmin.reduce(table, axis=0)


def check_not_one_text_column(X: Any) -> None:
    """Raise a ValueError for a table of one column of texts or paths; the message says how to read them."""
    if issparse(X) or getattr(X, "ndim", 2) != 2 or X.shape[1] != 1:
        return
    name, column = (f"X[{X.columns[0]!r}]", X[X.columns[0]].to_list()) if is_frame(X) else ("X[:, 0]", X[:, 0].tolist())
    texts = [value for value in column if isinstance(value, str)]
    if texts:
        are_images = all(os.path.splitext(text)[1].lower() in IMAGE_SUFFIXES for text in texts)
        kind, what = ("image", "paths of images") if are_images else ("text", "texts")
        raise ValueError(f"X has one column, which holds {what}. Pass {name}, and set modality={kind!r}.")


def check_two_columns(table: Any) -> None:
    """Raise a ValueError for a table of one column."""
    if table.shape[1] < 2:
        raise ValueError(
            "X has 1 feature(s) (n_features=1), but views of a row replace some of its columns and need 2 or more. "
            "Add columns, or use the one column without an embedding."
        )


class ReadColumns(nn.Module):
    """Standardise columns of numbers, and encode numbers that are categories.

    Parameters
    ----------
    mean, scale : (d,) float64 arrays.
    codes : codes by category, for each column of categories by its position.

    Raises
    ------
    ValueError : if a category is not a number.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: np.ndarray, scale: np.ndarray, codes: dict[int, dict[Any, int]]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("scale", torch.from_numpy(scale))
        self.places = list(codes)
        for place, column in codes.items():
            if any(isinstance(category, str) for category in column):
                raise ValueError(
                    f"column {place} of X holds text, but an exported model reads a tensor of numbers. Convert "
                    "such columns to numbers before the embedder, for example with OrdinalEncoder, and list them in "
                    "categorical_features."
                )
            self.register_buffer(f"categories_{place}", torch.tensor(list(column), dtype=torch.float64))
            self.register_buffer(f"codes_{place}", torch.tensor(list(column.values()), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, d) float64 as standardised float32, with unseen categories as NaN."""
        standardized = (x - self.mean) / self.scale
        columns = list(standardized.unbind(1))
        for place in self.places:
            same = x[:, place, None] == self.get_buffer(f"categories_{place}")
            code = (same * self.get_buffer(f"codes_{place}")).sum(1)
            columns[place] = code.masked_fill(~same.any(1), torch.nan)
        return torch.stack(columns, 1).float()
