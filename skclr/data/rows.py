"""Rows of X, whatever X is: how many there are, and some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skclr.data.aligned import views_in
from skclr.data.sources import opened
from skclr.measures import spread_rows


def n_rows(X: Any) -> int:
    """Return the number of samples that X holds."""
    first = views_in(X, paired=False)[0]
    return int(first.shape[0]) if hasattr(first, "shape") else len(first)


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Take some rows of an array, a sparse matrix, a DataFrame, a sequence, or a tuple of views."""
    X = opened(X)
    if isinstance(X, list | tuple):
        if len(views := views_in(X, paired=False)) > 1:
            return tuple(take_rows(view, rows) for view in views)
        return [X[row] for row in rows]
    if issparse(X):
        return X.tocsr()[rows]
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "shape") else np.asarray(X)[rows]


def spread_sample(X: Any) -> Any:
    """Return rows of X at equal steps where they are too many for measures, else X itself; other rows are not read."""
    X = X if isinstance(X, tuple) else opened(X)
    rows = spread_rows(n_rows(X))
    return X if len(rows) == n_rows(X) else take_rows(X, rows)
