"""Which modality X has, inferred from its samples, its shape and its dtype."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skclr.modalities import MODALITIES
from skclr.modalities.base import first_sample


def infer_modality(X: Any, modality_params: Mapping[str, Any]) -> str:
    """Return the name of the modality by which X should be read.

    A parameter that only one modality has decides first, then the type of a sample, then shape and dtype.

    Parameters
    ----------
    X : what the user passed, opened.
    modality_params : parameters of the modality.

    Returns
    -------
    A name in MODALITIES.

    Raises
    ------
    ValueError : if X could have several modalities, or has none.
    """
    for name, modality in MODALITIES.items():
        if modality.told_by in modality_params:
            return name
    first = first_sample(X)
    if isinstance(first, str) and _is_file(first):
        raise ValueError(
            f"X holds str, and the first, {first!r}, is the name of a file: set modality='image' for images to be "
            "read from there, or modality='text' for texts"
        )
    for name, modality in MODALITIES.items():
        if isinstance(first, modality.sample_types):
            return name
    return _of_shape(X)


def _is_file(text: str) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:
        # Some texts can be no name.
        return False


def _of_shape(X: Any) -> str:
    """Return the name of the modality that the shape and dtype of X suggest.

    Raises
    ------
    ValueError : if X could have several modalities, or has none; the message says which and how to choose.
    """
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if isinstance(X, list | tuple) and len({_shape(sample) for sample in X}) > 1:
        return _infer_ragged(X)
    shape, dtype = _shape_and_dtype(X)
    if len(shape) > 4:
        raise ValueError(
            f"X of shape {tuple(shape)} holds no samples that are known: give tables (n, d), series (n, channels, "
            "time), images (n, H, W, C), or, where it holds several views of each, set views='paired'"
        )
    if len(shape) == 3:
        return _infer_3d(shape, dtype)
    return "image" if len(shape) == 4 else "tabular"


def _shape_and_dtype(X: Any) -> tuple[tuple[int, ...], Any]:
    """Return what a stack of samples would have; a list is uint8 if all of its samples are, and else of floats."""
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
            f"X holds a {type(sample).__name__} whose own entries have unequal lengths: pass one number a cell of a "
            "table, and series as arrays (channels, time)"
        ) from error


def _infer_3d(shape: tuple[int, ...], dtype: Any) -> str:
    if dtype == np.uint8:
        return "image"
    if np.dtype(dtype).kind == "f" and shape[1] != shape[2]:
        return "series"
    raise ValueError(
        f"X of shape {tuple(shape)} and dtype {dtype} could be greyscale images or time series: set "
        "modality='image' for (n, H, W) images or modality='series' for (n, channels, time) series"
    )


def _infer_ragged(X: Sequence[Any]) -> str:
    dimensions = {np.ndim(sample) for sample in X}
    if dimensions <= {2, 3} and all(getattr(sample, "dtype", None) == np.uint8 for sample in X):
        # Series have as many channels each; pictures of unequal sizes seldom have a side in common.
        lengths = [{np.shape(sample)[axis] for sample in X} for axis in (0, -1)]
        return "image" if dimensions != {2} or min(map(len, lengths)) > 1 else "series"
    if dimensions == {2}:
        return "series"
    if dimensions == {1}:
        raise ValueError(
            "X holds 1-D arrays of unequal lengths, which could be time series or audio: set modality='series', or "
            "modality_params={'sampling_rate': ...} for audio"
        )
    raise ValueError(
        f"X holds samples of {', '.join(map(str, sorted(dimensions)))} dimensions and unequal shapes: give tables as "
        "one 2-D array, series as (channels, time) arrays, and images of one size, or set modality"
    )
