"""Tables: numeric arrays and DataFrames, standardised column by column."""

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data
from torch import Tensor

from skclr.modalities.base import Modality, check_finite, check_two_samples


class Tabular(Modality):
    """Rows of numeric columns, standardised to mean 0 and variance 1 over the rows of the first fit."""

    encoder = "mlp"
    views = "corruption"
    passthrough = True

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> np.ndarray:
        """See `Modality.read`; X is 2-D and numeric."""
        _check_columns(X)
        try:
            table = validate_data(
                estimator,
                X,
                reset=reset,
                dtype=[np.float64, np.float32],
                ensure_all_finite=False,
            )
        except ValueError as error:
            if "could not convert string" in str(error):
                raise ValueError(f"X holds text where a table needs numbers ({error}): {_ENCODE}") from error
            raise
        check_finite(table, getattr(estimator, "feature_names_in_", None))
        if reset:
            check_two_samples(table)
            _check_two_columns(table)
            self.scaler_ = StandardScaler().fit(table)
            self.shape_ = table.shape[1:]
        return table

    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Standardise (B, d) rows; in float64, since a time stamp loses its seconds in float32."""
        standardized = (rows - self.scaler_.mean_) / self.scaler_.scale_
        return torch.from_numpy(standardized.astype(np.float32))


_ENCODE = "encode such columns first, for example with skrub.TableVectorizer or OneHotEncoder"


def _check_columns(X: Any) -> None:
    """Name the columns of a DataFrame that are not numbers, where X is one."""
    if not (hasattr(X, "dtypes") and hasattr(X, "columns")):
        return
    kinds = dict(zip(X.columns, X.dtypes, strict=True))
    wrong = [f"{name!r} ({kind})" for name, kind in kinds.items() if not _is_numeric(kind)]
    if wrong:
        raise ValueError(f"X has columns that are not numbers: {', '.join(wrong)}; {_ENCODE}")


def _is_numeric(dtype: Any) -> bool:
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric() or str(dtype) == "Boolean")
    # An object column may hold numbers; validation converts it, or says what it met.
    return getattr(dtype, "kind", "O") in "biufcO" and str(dtype) != "category"


def _check_two_columns(table: np.ndarray) -> None:
    if table.shape[1] < 2:
        raise ValueError(
            "X has 1 feature(s) (n_features=1): views of a row replace some of its columns, so it needs "
            "2 or more; add columns, or use the one column as it is"
        )
