"""Tables: arrays, sparse matrices and DataFrames of numbers and categories."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor, nn

from skclr.modalities.base import Modality, check_finite, check_two_samples
from skclr.modalities.categories import Categories
from skclr.modalities.stored import Stored, pieces
from skclr.parts.plain import expect
from skclr.views import MarginalCorruption


class Tabular(Modality):
    """Rows of numbers, standardised column by column, and of categories, each a code; NaN where there is none.

    Parameters
    ----------
    categorical_features : "from_dtype" takes the columns of a DataFrame that hold categories, strings or booleans; or
        an array of column names, of column numbers or of one boolean per column; None for none.
    max_categories : most categories of a column; the rarest beyond that are one.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr import ContrastiveEmbedder
    >>> X = np.c_[np.arange(10) % 3, np.random.default_rng(0).normal(size=10)]
    >>> embedder = ContrastiveEmbedder(modality_params={"categorical_features": [0]}, max_epochs=0)
    >>> embedder.fit_transform(X).shape  # 128, an indicator of each of the three categories, and the number
    (10, 132)
    """

    encoder = "residual_mlp"
    views = "neighbors"
    # Small networks: a step takes some milliseconds, and what tables teach is not yet learned in half as many.
    n_steps = 3_000
    passthrough = True
    is_categorical_: np.ndarray
    categories_: Categories
    mean_: np.ndarray
    scale_: np.ndarray
    cardinalities_: tuple[int, ...]
    gaps_: tuple[bool, ...]

    def __init__(self, categorical_features: Any = "from_dtype", max_categories: int = 256) -> None:
        if isinstance(categorical_features, str) and categorical_features != "from_dtype":
            raise ValueError(
                f"categorical_features={categorical_features!r}: give 'from_dtype', None, or a list of column names, "
                "of column numbers or of booleans"
            )
        if max_categories < 2:
            raise ValueError(f"max_categories={max_categories}: give 2 or more")
        self.categorical_features = categorical_features
        self.max_categories = max_categories

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """See `Modality.read`; X is 2-D."""
        if reset:
            self.is_categorical_ = categorical_columns(next(pieces(X)), self.categorical_features)
            self.categories_ = Categories(self.max_categories)
            if self.is_categorical_.any():
                self.categories_.fit(self._split(rows, estimator, reset=True)[1] for rows in pieces(X))
        if isinstance(X, Stored):
            self._read(X[:1], estimator, reset=reset)
            table = X.parsed(partial(self._read, estimator=estimator, reset=False))
        else:
            table = self._read(X, estimator, reset=reset)
        if reset:
            check_two_samples(table)
            _check_two_columns(table)
            self._learn_statistics(table)
        return table

    def to_tensor(self, rows: Any) -> Tensor:
        """Standardise (B, d) rows; in float64, since a time stamp loses its seconds in float32."""
        dense = rows.toarray() if sparse.issparse(rows) else rows
        standardized = np.empty(dense.shape, np.float32)
        # As many rows as stay in a core's cache.
        n_rows = max(1, 2**16 // dense.shape[1])
        for start in range(0, len(dense), n_rows):
            few = slice(start, start + n_rows)
            standardized[few] = (dense[few] - self.mean_) / self.scale_
        return torch.from_numpy(standardized)

    def join(self, rows: Any, more: Any) -> Any:
        """Put rows of two calls of `read` into one."""
        return sparse.vstack([rows, more], format="csr") if sparse.issparse(rows) else super().join(rows, more)

    def features(self, x: Tensor) -> Tensor:
        """Give the standardised numbers, a gap being the mean, then one column for each category."""
        columns = [x[:, np.flatnonzero(~self.is_categorical_).tolist()].nan_to_num(0.0)]
        for place, n in enumerate(self.cardinalities_):
            if n:
                # NaN is equal to none.
                columns.append((x[:, place, None] == torch.arange(n, device=x.device)).float())
        return torch.cat(columns, 1)

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`; X is (B, d) float64, dense, and its categories are numbers."""
        places = np.flatnonzero(self.is_categorical_).tolist()
        layer = ReadColumns(self.mean_, self.scale_, dict(zip(places, self.categories_.codes_, strict=True)))
        return layer, torch.zeros(2, *self.shape_, dtype=torch.float64)

    def restore(self, x: Tensor, X: Any) -> np.ndarray:
        """Give the numbers in their own units and the categories by name, (B, d) objects."""
        values = x.cpu().numpy() * self.scale_ + self.mean_
        # Float32 keeps seven digits of the standardised number; the rest would be noise.
        grid = 10.0 ** (np.floor(np.log10(self.scale_)) - 5)
        values = (np.round(values / grid) * grid + 0.0).astype(object)
        if self.is_categorical_.any():
            codes = x.cpu().numpy()[:, self.is_categorical_]
            values[:, self.is_categorical_] = self.categories_.decode(codes)
        return values

    def facts(self) -> dict[str, Any]:
        """Say of each column how many categories it has, 0 for a number, and whether it has gaps."""
        return {
            **super().facts(),
            "cardinalities": self.cardinalities_,
            "gaps": self.gaps_,
            "on_top": MarginalCorruption(n_views=1, rate=0.2),
        }

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        expect("is_categorical_", self.is_categorical_, self.shape_, bool)
        expect("mean_", self.mean_, self.shape_, np.float64)
        expect("scale_", self.scale_, self.shape_, np.float64)
        if self._count_categories() != self.cardinalities_ or len(self.gaps_) != len(self.cardinalities_):
            raise ValueError(f"columns of {self.cardinalities_} categories do not have the codes")

    def _split(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> tuple[Any, np.ndarray]:
        if is_frame(X):
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            return split_frame(X, self.is_categorical_)
        X = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        return X[:, ~self.is_categorical_], X[:, self.is_categorical_]

    def _read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        if not self.is_categorical_.any():
            return read_numbers(X, estimator, reset=reset)
        numbers, categories = self._split(X, estimator, reset=reset)
        table = np.empty((len(categories), len(self.is_categorical_)))
        table[:, self.is_categorical_] = self.categories_.encode(categories)
        if numbers.shape[1]:
            table[:, ~self.is_categorical_] = read_numbers(numbers, None, reset=reset)
        return table

    def _learn_statistics(self, table: Any) -> None:
        self.shape_ = table.shape[1:]
        if sparse.issparse(table):
            # What is 0 stays 0. Wide rows are no neighbours of each other, and nobody wants them dense beside theirs.
            self.views, self.passthrough = "corruption", False
            gaps, mean = np.zeros(self.shape_, dtype=bool), np.zeros(self.shape_)
            scale = StandardScaler(with_mean=False).fit(table).scale_
        else:
            gaps, mean, scale = _statistics(table)
            if isinstance(table, Stored):
                # Neighbours would be looked for among all rows, and read one by one.
                self.views = "corruption"
        # A column without any value has no mean.
        number = ~self.is_categorical_ & np.isfinite(mean)
        self.mean_, self.scale_ = np.where(number, mean, 0.0), np.where(number, scale, 1.0)
        self.cardinalities_ = self._count_categories()
        self.gaps_ = tuple((gaps & ~self.is_categorical_).tolist())

    def _count_categories(self) -> tuple[int, ...]:
        counts = np.zeros(self.shape_, dtype=int)
        counts[self.is_categorical_] = self.categories_.sizes
        return tuple(counts.tolist())


def _statistics(table: Any) -> tuple[np.ndarray, ...]:
    """Give of each column whether it has gaps, its mean and its deviation."""
    gaps, scaler = np.zeros(table.shape[1], dtype=bool), StandardScaler()
    for rows in pieces(table):
        gaps |= np.isnan(rows).any(axis=0)
        if hasattr(scaler, "mean_"):
            # Of a column that had no value so far there is no mean to go on from.
            scaler.mean_, scaler.var_ = np.nan_to_num(scaler.mean_), np.nan_to_num(scaler.var_)
        with np.errstate(invalid="ignore"):
            scaler.partial_fit(rows)
    return gaps, scaler.mean_, scaler.scale_


class ReadColumns(nn.Module):
    """Standardise columns of numbers, and give the codes of numbers that are categories.

    Parameters
    ----------
    mean, scale : (d,) float64 arrays.
    codes : of each column of categories, by its place: category to code.

    Raises
    ------
    ValueError : where a category is no number.
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
                    f"column {place} of X holds text, which is no tensor: turn such columns into numbers before the "
                    "embedder, for example with OrdinalEncoder, and name them in categorical_features"
                )
            self.register_buffer(f"categories_{place}", torch.tensor(list(column), dtype=torch.float64))
            self.register_buffer(f"codes_{place}", torch.tensor(list(column.values()), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, d) float64 to float32; what is no category that was seen is NaN."""
        standardized = (x - self.mean) / self.scale
        columns = list(standardized.unbind(1))
        for place in self.places:
            same = x[:, place, None] == self.get_buffer(f"categories_{place}")
            code = (same * self.get_buffer(f"codes_{place}")).sum(1)
            columns[place] = code.masked_fill(~same.any(1), torch.nan)
        return torch.stack(columns, 1).float()


# -- which columns hold what ------------------------------------------------------------------------


def is_frame(X: Any) -> bool:
    """Tell DataFrames, of pandas or polars, from arrays."""
    return hasattr(X, "dtypes") and hasattr(X, "columns")


def categorical_columns(X: Any, chosen: Any) -> np.ndarray:
    """Say of each column whether it holds categories.

    Parameters
    ----------
    X : table of d columns.
    chosen : as `Tabular` takes categorical_features.

    Returns
    -------
    (d,) bool.

    Raises
    ------
    ValueError : for columns that X does not have or has twice, and for dtypes that are neither numbers nor categories.
    """
    names = [str(name) for name in X.columns] if is_frame(X) else []
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(f"X has more than one column named {repeated[0]!r}: rename or drop all but one")
    n_columns = X.shape[1] if getattr(X, "ndim", 2) == 2 and hasattr(X, "shape") else 0
    if chosen is None or (isinstance(chosen, str) and not names):
        n_columns = n_columns or (np.asarray(X).shape[1:] or (0,))[0]
        return np.zeros(n_columns, dtype=bool)
    if isinstance(chosen, str):
        return _by_dtype(X)
    listed = np.asarray(chosen)
    if listed.dtype == bool and listed.shape == (n_columns,):
        return listed
    places = np.arange(n_columns) if listed.dtype.kind in "iu" else np.asarray(names)
    missing = [value for value in listed.tolist() if value not in places.tolist()]
    if listed.dtype == bool or missing:
        raise ValueError(
            f"categorical_features={chosen!r} does not fit X of {n_columns} columns: give their names, their numbers "
            "from 0, or one boolean per column"
        )
    return np.isin(places, listed)


def _by_dtype(X: Any) -> np.ndarray:
    kinds = [_kind(dtype, X[name]) for name, dtype in zip(X.columns, X.dtypes, strict=True)]
    wrong = [
        f"{name!r} ({dtype})" for name, dtype, kind in zip(X.columns, X.dtypes, kinds, strict=True) if kind == "unknown"
    ]
    if wrong:
        raise ValueError(
            f"X has columns that are neither numbers nor categories: {', '.join(wrong)}; turn them into numbers "
            "first, for example with skrub.TableVectorizer, or drop them"
        )
    return np.array([kind == "category" for kind in kinds])


_CATEGORY_NAMES = ("category", "bool", "boolean", "str", "string", "String", "Boolean", "Categorical", "Enum")


def _kind(dtype: Any, column: Any) -> str:
    name = str(dtype).split("(")[0].split("[")[0]
    if name in _CATEGORY_NAMES:
        return "category"
    if name == "object":
        return "category" if any(isinstance(value, str | bool) for value in column) else "number"
    numeric = dtype.is_numeric() if hasattr(dtype, "is_numeric") else getattr(dtype, "kind", "O") in "iufc"
    return "number" if numeric else "unknown"


# -- reading ------------------------------------------------------------------------------------------


def read_numbers(X: Any, estimator: BaseEstimator | None, *, reset: bool) -> Any:
    """Check that X holds numbers or gaps, and give it as a float array or CSR matrix."""
    settings: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "accept_sparse": "csr"}
    try:
        if estimator is None:
            table = check_array(X, **settings)
        else:
            table = validate_data(estimator, X, reset=reset, **settings)
    except ValueError as error:
        if "could not convert string" in str(error):
            raise ValueError(
                f"X holds text where a table needs numbers, {_first_text(X)}: where fit saw numbers, put NaN or a "
                "number there; else give a DataFrame, or name such columns with "
                "modality_params={'categorical_features': ...}"
            ) from error
        raise
    # Gaps are for the encoder; only in a sparse matrix they would not be seen.
    check_finite(table, getattr(estimator, "feature_names_in_", None), allow_nan=not sparse.issparse(table))
    return table


def _first_text(X: Any) -> str:
    """Say which value it is that is no number, and where."""
    columns = {name: X[name] for name in X.columns} if is_frame(X) else dict(enumerate(np.asarray(X, dtype=object).T))
    for name, column in columns.items():
        for row, value in enumerate(column):
            try:
                float(value)
            except ValueError:
                return f"{value!r} in row {row} of column {name!r}"
            except TypeError:
                continue
    return "as its dtype says"


def split_frame(X: Any, is_categorical: np.ndarray) -> tuple[Any, np.ndarray]:
    """Split a DataFrame into a DataFrame of its numbers and an object array of its categories."""
    names = list(X.columns)
    numbers = X[[name for name, c in zip(names, is_categorical, strict=True) if not c]]
    columns = [X[name].to_list() for name, c in zip(names, is_categorical, strict=True) if c]
    categories = np.empty((len(X), len(columns)), dtype=object)
    for j, column in enumerate(columns):
        categories[:, j] = column
    return numbers, categories


def _check_two_columns(table: Any) -> None:
    if table.shape[1] < 2:
        raise ValueError(
            "X has 1 feature(s) (n_features=1): views of a row replace some of its columns, so it needs "
            "2 or more; add columns, or use the one column as it is"
        )
