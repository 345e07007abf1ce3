"""Tables: arrays, sparse matrices and DataFrames of numbers and categories."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data
from torch import Tensor, nn

from skclr.data.stored import Stored, pieces
from skclr.files.plain import check_learned_array
from skclr.modalities.base import Modality, check_finite, check_two_samples
from skclr.modalities.categories import Categories, count_values, warn_of_unseen
from skclr.modalities.cells import (
    ReadColumns,
    as_table,
    categorical_columns,
    check_not_one_text_column,
    check_two_columns,
    column_names,
    column_statistics,
    highest,
    is_frame,
    lowest,
    read_numbers,
    split_frame,
)
from skclr.modalities.doubtful import warn_of_doubtful
from skclr.modalities.radial import RadialFeatures
from skclr.views import MarginalCorruption

# The variance of larger numbers overflows float64.
_LARGEST = 1e150
# Rows from which the kernel map is learned.
_MAPPED_ROWS = 2_048
# Beyond this distance from the mean, squares overflow float32, in which networks compute.
_MOST_DEVIATIONS = 2.0**63


class Tabular(Modality):
    """Tables of numbers, standardised by column, and of categories, encoded as integers; NaN for missing values.

    The plain features are the standardised columns, with an indicator of each category, and their similarities to some
    training rows (an RBF kernel), as components that are rotated to columns of one variance. Sparse tables have no
    similarities.

    Parameters
    ----------
    categorical_features : "from_dtype" selects the columns of a DataFrame that hold categories, strings or booleans;
        a list of column names or positions adds to those; one boolean per column decides for each; None selects none.
    max_categories : maximum number of categories per column; rarer ones share one code, or are missing beyond 65,536.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr import ContrastiveEmbedder
    >>> X = np.c_[np.arange(10) % 3, np.random.default_rng(0).normal(size=10)]
    >>> embedder = ContrastiveEmbedder(modality_params={"categorical_features": [0]}, max_epochs=0)
    >>> embedder.fit_transform(X).shape  # 32 columns of the embedding, and 128 plain features
    (10, 160)
    """

    encoder = "residual_mlp"
    # Four thousand steps gave no better embedding.
    n_steps = 250
    most_epochs = 250
    loss_params: ClassVar[Mapping[str, Mapping[str, Any]]] = {"nt_xent": {"temperature": 1.0}}
    embedding_weight = 0.25
    # Storage of the training rows: "memory", "disk" or "sparse".
    storage_: str = "memory"
    is_categorical_: np.ndarray
    categories_: Categories
    mean_: np.ndarray
    scale_: np.ndarray
    cardinalities_: tuple[int, ...]
    gaps_: tuple[bool, ...]
    # None for sparse rows, and in files of earlier versions: plain features are then the columns.
    radial_: RadialFeatures | None = None

    def __init__(self, categorical_features: Any = "from_dtype", max_categories: int = 256) -> None:
        named = isinstance(categorical_features, str)
        listed = isinstance(categorical_features, Iterable) and not isinstance(categorical_features, str | Mapping)
        if not (categorical_features is None or listed or (named and categorical_features == "from_dtype")):
            raise ValueError(
                f"categorical_features={categorical_features!r}: pass 'from_dtype', None, or a list of column names, "
                "of column positions or of booleans"
            )
        if max_categories < 2:
            raise ValueError(f"max_categories={max_categories}: pass 2 or more")
        self.categorical_features = categorical_features
        self.max_categories = max_categories

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """See `Modality.read`; X is 2-D."""
        X = X if isinstance(X, Stored) else as_table(X)
        if not reset:
            return self._encode(X, estimator, reset=False)
        self._find_categorical(X)
        self._learn_categories(X, estimator)
        return self._encode_and_learn(X, estimator)

    def read_as(self, X: Any, estimator: BaseEstimator, learned: Self, names: Any) -> Any:
        """See `Modality.read_as`: categories keep their codes."""
        X = X if isinstance(X, Stored) else as_table(X)
        self._find_categorical(X)
        self._keep_categories(as_table(next(pieces(X))), learned, names)
        return self._encode_and_learn(X, estimator)

    @property
    def views(self) -> str:
        """Return the name of the default views: "neighbors" for rows in memory, otherwise "corruption".

        Neighbours are searched among all rows, which would be read one by one from disk; wide, sparse rows have no
        meaningful neighbours.
        """
        return "neighbors" if self.storage_ == "memory" else "corruption"

    @property
    def views_params(self) -> Mapping[str, Any]:
        """Return the arguments of the default views."""
        return {"n_neighbors": 30} if self.views == "neighbors" else {}

    @property
    def passthrough(self) -> bool:
        """Return whether the plain features are appended to the embedding by default: not if they were sparse."""
        return self.storage_ != "sparse"

    def to_tensor(self, rows: Any) -> Tensor:
        """Return the standardised rows (B, d), computed in float64: time stamps lose their seconds in float32."""
        dense = rows.toarray() if sparse.issparse(rows) else rows
        standardized = np.empty(dense.shape, np.float32)
        # That many rows fit into a core's cache.
        n_rows = max(1, 2**16 // dense.shape[1])
        for start in range(0, len(dense), n_rows):
            few = slice(start, start + n_rows)
            standardized[few] = (dense[few] - self.mean_) / self.scale_
        return torch.from_numpy(standardized)

    def join(self, rows: Any, more: Any) -> Any:
        """Return the rows of two calls of `read`, concatenated."""
        if not (sparse.issparse(rows) or sparse.issparse(more)):
            return super().join(rows, more)
        return sparse.vstack([sparse.csr_matrix(rows), sparse.csr_matrix(more)], format="csr")

    def raw(self) -> Self:
        """See `Modality.raw`."""
        modality = copy.copy(self)
        modality.radial_ = None
        return modality

    def features(self, x: Tensor) -> Tensor:
        """Return the plain features: the columns, or `RadialFeatures` of them."""
        columns = self.columns(x)
        return columns if self.radial_ is None else self.radial_(columns)

    def n_features(self) -> int:
        """Return the number of plain features."""
        return self.n_columns if self.radial_ is None else self.radial_.n_features_

    @property
    def n_columns(self) -> int:
        """Number of `columns`."""
        return int((~self.is_categorical_).sum()) + sum(self.cardinalities_)

    @property
    def even_features(self) -> bool:  # type: ignore[override]
        """Return whether all plain features have the same variance."""
        return self.radial_ is not None

    def columns(self, x: Tensor) -> Tensor:
        """Return the standardised numbers, with gaps filled by the mean, then one column per category."""
        columns = [x[:, np.flatnonzero(~self.is_categorical_).tolist()].nan_to_num(0.0)]
        for place, n in enumerate(self.cardinalities_):
            if n:
                # NaN equals no category.
                columns.append((x[:, place, None] == torch.arange(n, device=x.device)).float())
        return torch.cat(columns, 1)

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`; X is a dense (B, d) array of float64, whose categories are numbers."""
        places = np.flatnonzero(self.is_categorical_).tolist()
        layer = ReadColumns(self.mean_, self.scale_, dict(zip(places, self.categories_.codes_, strict=True)))
        return layer, torch.zeros(2, *self.shape_, dtype=torch.float64)

    def restore(self, x: Tensor, X: Any) -> np.ndarray:
        """Return the numbers in their original units and the categories by name, as (B, d) objects."""
        values = x.cpu().numpy() * self.scale_ + self.mean_
        # float32 keeps seven digits of the standardised number; the rest would be noise.
        grid = 10.0 ** (np.floor(np.log10(self.scale_)) - 5)
        values = (np.round(values / grid) * grid + 0.0).astype(object)
        if self.is_categorical_.any():
            codes = x.cpu().numpy()[:, self.is_categorical_]
            values[:, self.is_categorical_] = self.categories_.decode(codes)
        return values

    def facts(self) -> dict[str, Any]:
        """Return what views and encoders can ask for.

        Distances of neighbours are those of the columns; each column has a number of categories, 0 for numbers, and
        may have gaps.
        """
        return {
            "features": self.columns,
            "cardinalities": self.cardinalities_,
            "gaps": self.gaps_,
            "on_top": MarginalCorruption(n_views=1, rate=0.2),
        }

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        if self.storage_ not in ("memory", "disk", "sparse"):
            raise ValueError(f"the storage {self.storage_!r} of rows is unknown")
        check_learned_array("is_categorical_", self.is_categorical_, self.shape_, bool)
        check_learned_array("mean_", self.mean_, self.shape_, np.float64)
        check_learned_array("scale_", self.scale_, self.shape_, np.float64)
        if not (np.isfinite(self.mean_).all() and np.isfinite(self.scale_).all() and (self.scale_ > 0).all()):
            raise ValueError("the means are not finite, or the scales are not positive")
        if self._count_categories() != self.cardinalities_ or len(self.gaps_) != len(self.cardinalities_):
            raise ValueError(f"the codes do not match columns of {self.cardinalities_} categories")
        if self.radial_ is not None:
            self.radial_.check_columns(self.n_columns)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """See `Plain.from_state`."""
        # Earlier versions stored `views` and `passthrough`, which follow from the storage.
        storage = "memory" if state.get("views", "neighbors") == "neighbors" else "disk"
        storage = storage if state.get("passthrough", True) else "sparse"
        return super().from_state({**state, "storage_": state.get("storage_", storage)})

    def _find_categorical(self, X: Any) -> None:
        check_not_one_text_column(X[:1] if isinstance(X, Stored) else X)
        self.is_categorical_ = categorical_columns(as_table(next(pieces(X))), self.categorical_features)

    def _learn_categories(self, X: Any, estimator: BaseEstimator) -> None:
        first = as_table(next(pieces(X)))
        self.categories_ = Categories(self.max_categories)
        if self.is_categorical_.any():
            if sparse.issparse(first):
                raise ValueError(
                    f"categorical_features={self.categorical_features!r} needs a dense X, but X is sparse. Pass "
                    "X.toarray(), or keep the categories as indicator columns."
                )
            counts = count_values(self._split(as_table(rows), estimator, reset=True)[1] for rows in pieces(X))
            self.categories_.learn(counts)
            warn_of_doubtful(self._categorical(column_names(first)), counts)

    def _keep_categories(self, first: Any, learned: Tabular, names: Any) -> None:
        """Take over the categories of the encoder's training table if this one has the same columns."""
        here, before = column_names(first), learned.is_categorical_
        if names is not None and is_frame(first) and len(here) == len(names):
            other = [place for place, (name, now) in enumerate(zip(names, here, strict=True)) if name != now]
            if other:
                raise ValueError(
                    f"encoder= was fitted on other columns: column {other[0]} was {names[other[0]]!r}, but X has "
                    f"{here[other[0]]!r}. Pass the same columns in the same order."
                )
        if len(here) != len(before):
            raise ValueError(
                f"encoder= was fitted on {len(before)} columns, but X has {len(here)}. Pass the same columns, or use a "
                "new encoder, encoder='auto'."
            )
        if not is_frame(first) and isinstance(self.categorical_features, str):
            # Only the encoder knows which columns of an array hold categories.
            self.is_categorical_ = before
        odd = np.flatnonzero(self.is_categorical_ != before)
        if len(odd):
            was, now = ("categories", "numbers") if before[odd[0]] else ("numbers", "categories")
            raise ValueError(
                f"encoder= was fitted on other columns: {here[odd[0]]!r} held {was}, but holds {now} in X. Convert it, "
                "or list the columns of categories in modality_params={'categorical_features': ...}."
            )
        self.categories_ = learned.categories_

    def _encode(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """Return X with categories as codes; rows on disk are read when needed, except the first."""
        if not isinstance(X, Stored):
            return self._read(X, estimator, reset=reset)
        self._read(X[:1], estimator, reset=reset)
        return X.parsed(partial(self._read, estimator=estimator, reset=False))

    def _encode_and_learn(self, X: Any, estimator: BaseEstimator) -> Any:
        """Return X with categories as codes, and learn its statistics."""
        table = self._encode(X, estimator, reset=True)
        check_two_samples(table)
        check_two_columns(table)
        self._learn_statistics(table)
        if self.storage_ != "sparse":
            some = table[np.arange(0, table.shape[0], -(-table.shape[0] // _MAPPED_ROWS))]
            self.radial_ = RadialFeatures().fit(self.columns(self.to_tensor(some)))
        return table

    def _split(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> tuple[Any, np.ndarray]:
        if is_frame(X):
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            return split_frame(X, self.is_categorical_)
        X = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        return X[:, ~self.is_categorical_], X[:, self.is_categorical_].astype(object)

    def _read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        X = as_table(X)
        names = column_names(X)
        if not self.is_categorical_.any():
            table = read_numbers(X, names, estimator, reset=reset)
        else:
            numbers, categories = self._split(X, estimator, reset=reset)
            table = np.empty((len(categories), len(self.is_categorical_)))
            table[:, self.is_categorical_] = codes = self.categories_.encode(categories)
            warn_of_unseen(self._categorical(names), categories, codes)
            if numbers.shape[1]:
                others = [name for name, c in zip(names, self.is_categorical_, strict=True) if not c]
                table[:, ~self.is_categorical_] = read_numbers(numbers, others)
        # The encoder handles gaps, but a sparse matrix cannot show them.
        check_finite(table, names if is_frame(X) else None, allow_nan=not sparse.issparse(table))
        self._check_range(table, names)
        return table

    def _categorical(self, names: list[Any]) -> list[Any]:
        return [name for name, c in zip(names, self.is_categorical_, strict=True) if c]

    def _check_range(self, table: Any, names: list[Any]) -> None:
        """Raise a ValueError for a number too large to be standardised; the message names its column."""
        fitted = hasattr(self, "scale_")
        # Arrays of float64: in float32 the bound would be infinite.
        mean, scale = (self.mean_, self.scale_) if fitted else (np.zeros(1), np.ones(1))
        with np.errstate(all="ignore"):
            farthest = np.maximum(np.abs(highest(table) - mean), np.abs(lowest(table) - mean)) / scale
        wrong = np.flatnonzero(farthest > (_MOST_DEVIATIONS if fitted else _LARGEST))
        if len(wrong):
            what = "standard deviations from the mean of fit" if fitted else "in magnitude"
            raise ValueError(
                f"column {names[wrong[0]]!r} of X holds a number that is {farthest[wrong[0]]:.3g} {what}, too large to "
                "be standardised. Rescale the column, or replace such values by NaN."
            )

    def _learn_statistics(self, table: Any) -> None:
        self.shape_ = table.shape[1:]
        if sparse.issparse(table):
            # Without centring, zeros stay zeros.
            self.storage_ = "sparse"
            gaps, mean = np.zeros(self.shape_, dtype=bool), np.zeros(self.shape_)
            scale = StandardScaler(with_mean=False).fit(table).scale_
        else:
            gaps, mean, scale = column_statistics(table)
            self.storage_ = "disk" if isinstance(table, Stored) else "memory"
        # A column without any value has no mean.
        number = ~self.is_categorical_ & np.isfinite(mean)
        self.mean_, self.scale_ = np.where(number, mean, 0.0), np.where(number, scale, 1.0)
        self.cardinalities_ = self._count_categories()
        self.gaps_ = tuple((gaps & ~self.is_categorical_).tolist())

    def _count_categories(self) -> tuple[int, ...]:
        counts = np.zeros(self.shape_, dtype=int)
        counts[self.is_categorical_] = self.categories_.sizes
        return tuple(counts.tolist())
