"""Modalities: how X is read. To add one, write its file and its line here."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skclr.data.aligned import Aligned, stacked
from skclr.data.columns import is_missing
from skclr.data.parquet import ParquetRows
from skclr.modalities.audio import Audio
from skclr.modalities.base import Modality, check_two_samples
from skclr.modalities.image import Image
from skclr.modalities.series import Series
from skclr.modalities.tabular import Tabular
from skclr.modalities.text import Text

MODALITIES: dict[str, type[Modality]] = {
    "tabular": Tabular,
    "image": Image,
    "series": Series,
    "audio": Audio,
    "text": Text,
}


def infer_modality(X: Any, modality_params: Mapping[str, Any]) -> str:
    """Tell from X and the modality's parameters how X should be read.

    Parameters
    ----------
    X : what the user passed.
    modality_params : its parameters; `image_shape` makes rows images, `sampling_rate` makes them audio.

    Returns
    -------
    A name in MODALITIES.

    Raises
    ------
    ValueError : where X could be several things, or none.
    """
    if "image_shape" in modality_params:
        return "image"
    if "sampling_rate" in modality_params:
        return "audio"
    first = _first(X)
    if isinstance(first, str) and _is_file(first):
        raise ValueError(
            f"X holds str, and the first, {first!r}, is the name of a file: set modality='image' for images to be "
            "read from there, or modality='text' for texts"
        )
    if isinstance(first, str | bytes):
        return "text"
    if isinstance(first, os.PathLike) or isinstance(X, os.PathLike):
        return "image"
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


def _first(X: Any) -> Any:
    """Give the first sample of a sequence that is not missing, None where X is no sequence of one kind of thing."""
    if isinstance(X, str | bytes):
        # One text that should have been a list of them, which the modality says.
        return X
    # A Series of polars has no number of dimensions, nor has a column that is no Series.
    is_sequence = isinstance(X, list | tuple) or (getattr(X, "ndim", 0) == 1 and hasattr(X, "__getitem__"))
    if is_sequence or (hasattr(X, "to_list") and not hasattr(X, "columns")):
        return next((sample for sample in X if not is_missing(sample)), None)
    return None


def _shape(sample: Any) -> tuple[int, ...]:
    try:
        return np.shape(sample)
    except ValueError as error:
        raise ValueError(
            f"X holds a {type(sample).__name__} whose own entries have unequal lengths: pass one number a cell of a "
            "table, and series as arrays (channels, time)"
        ) from error


def _is_file(text: str) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:
        # Some texts can be no name.
        return False


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


__all__ = [
    "MODALITIES",
    "Aligned",
    "Audio",
    "Image",
    "Modality",
    "ParquetRows",
    "Series",
    "Tabular",
    "Text",
    "check_two_samples",
    "infer_modality",
    "stacked",
]
