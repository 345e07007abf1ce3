"""Collections of dask: rows that are computed only on request."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skclr.data.sources import is_of_unknown_length

# Takes a container of rows, which may be empty after filtering, to (n, d) float32 features.
Function = Callable[[Any], np.ndarray]


def mapped(X: Any, function: Function, names: Sequence[str]) -> Any:
    """Return the lazy features of a dask array or DataFrame, as a collection of the same kind.

    Parameters
    ----------
    X : dask collection of n samples.
    function : computes the features of one block.
    names : names of the d features, for a DataFrame.
    """
    if is_of_unknown_length(X):
        return X.map_partitions(_frame_of, function, names, meta=_meta_of(X, function, names))
    whole_rows = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    return whole_rows.map_blocks(
        function,
        dtype=np.float32,
        chunks=(whole_rows.chunks[0], (len(names),)),
        drop_axis=list(range(2, X.ndim)),
        # A column of texts is 1-D.
        new_axis=[1] if X.ndim == 1 else None,
        meta=np.empty((0, len(names)), np.float32),
    )


def _frame_of(frame: Any, function: Function, names: Sequence[str]) -> Any:
    make = type(frame.to_frame() if frame.ndim == 1 else frame)
    return make(function(frame), index=frame.index, columns=names)


def _meta_of(X: Any, function: Function, names: Sequence[str]) -> Any:
    """Return an empty partition of the result; wrong columns raise here, before anything is computed."""
    with warnings.catch_warnings():
        # The row is made up by dask, with values that were not seen in fit.
        warnings.simplefilter("ignore")
        return _frame_of(X._meta_nonempty[:1], function, names)[:0]
