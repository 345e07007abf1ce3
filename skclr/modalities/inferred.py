"""Inference of the modality of X from its samples, its shape and its dtype."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skclr.modalities import MODALITIES
from skclr.modalities.base import first_sample


def infer_modality(X: Any, modality_params: Mapping[str, Any]) -> str:
    """Return the name of the modality that should read X.

    Parameters that only one modality has decide first, then the type of a sample, then shape and dtype.

    Parameters
    ----------
    X : what the user passed, opened.
    modality_params : parameters of the modality.

    Returns
    -------
    A name in MODALITIES.

    Raises
    ------
    ValueError : if several modalities, or none, could read X.
    """
    for name, modality in MODALITIES.items():
        if modality.told_by in modality_params:
            return name
    first = first_sample(X)
    if isinstance(first, str) and _is_file(first):
        raise ValueError(
            f"X holds strings, and the first, {first!r}, is the path of a file. Set modality='image' to read image "
            "files, or modality='text' for texts."
        )
    for name, modality in MODALITIES.items():
        if isinstance(first, modality.sample_types):
            return name
    return _infer_from_shape(X)


def _is_file(text: str) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:
        # Some texts cannot be a path.
        return False


def _infer_from_shape(X: Any) -> str:
    """Return the name of the modality that the shape and dtype of X suggest.

    Raises
    ------
    ValueError : if several modalities, or none, could read X; the message says which, and how to choose.
    """
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if isinstance(X, list | tuple) and len({_shape(sample) for sample in X}) > 1:
        return _infer_ragged(X)
    shape, dtype = _shape_and_dtype(X)
    if len(shape) > 4:
        raise ValueError(
            f"X of shape {tuple(shape)} has too many dimensions. Pass tables (n, d), series (n, channels, time) or "
            "images (n, H, W, C), or set views='paired' if it holds several views of each sample."
        )
    if len(shape) == 3:
        return _infer_3d(shape, dtype)
    return "image" if len(shape) == 4 else "tabular"


def _shape_and_dtype(X: Any) -> tuple[tuple[int, ...], Any]:
    """Return shape and dtype of the stacked samples; for a list, uint8 if all samples are, otherwise floats."""
    if hasattr(X, "shape"):
        return tuple(X.shape), getattr(X, "dtype", np.dtype(float))
    dtypes = {getattr(sample, "dtype", None) for sample in X} if isinstance(X, list) else {np.asarray(X).dtype}
    known = len(dtypes) == 1 and all(dtype == np.uint8 or getattr(dtype, "kind", "") == "f" for dtype in dtypes)
    return np.asarray(X).shape, dtypes.pop() if known else np.dtype(float)


def _shape(sample: Any) -> tuple[int, ...]:
    try:
        return np.shape(sample)
    except ValueError as error:
        raise ValueError(
            f"X holds a {type(sample).__name__} whose entries have unequal lengths. Pass one number per cell of a "
            "table, and series as arrays (channels, time)."
        ) from error


def _infer_3d(shape: tuple[int, ...], dtype: Any) -> str:
    if dtype == np.uint8:
        return "image"
    if np.dtype(dtype).kind == "f" and shape[1] != shape[2]:
        return "series"
    raise ValueError(
        f"X of shape {tuple(shape)} and dtype {dtype} could be greyscale images or time series. Set "
        "modality='image' for (n, H, W) images or modality='series' for (n, channels, time) series."
    )


def _infer_ragged(X: Sequence[Any]) -> str:
    dimensions = {np.ndim(sample) for sample in X}
    if dimensions <= {2, 3} and all(getattr(sample, "dtype", None) == np.uint8 for sample in X):
        # Series all have the same number of channels; images of unequal sizes seldom have a side in common.
        lengths = [{np.shape(sample)[axis] for sample in X} for axis in (0, -1)]
        return "image" if dimensions != {2} or min(map(len, lengths)) > 1 else "series"
    if dimensions == {2}:
        return "series"
    if dimensions == {1}:
        raise ValueError(
            "X holds 1-D arrays of unequal lengths, which could be time series or audio. Set modality='series', or "
            "modality_params={'sampling_rate': ...} for audio."
        )
    raise ValueError(
        f"X holds samples of {', '.join(map(str, sorted(dimensions)))} dimensions and unequal shapes. Pass a table as "
        "one 2-D array, series as (channels, time) arrays, images of one size, or set modality."
    )
