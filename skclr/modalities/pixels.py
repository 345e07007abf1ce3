"""The scale of pixels: it is learned in `fit`, and images of other dtypes are converted to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_array

from skclr.modalities.base import check_no_dates

SCALES = ("uint8", "integer", "unit", "raw", "unknown")
WHITE = 255
# How far fractions of white may leave [0, 1], as after resampling; values beyond are on another scale. In `fit`, which
# determines the scale, the tolerance is smaller.
_LOWEST, _HIGHEST = -0.25, 1.25
_OVERSHOOT = 0.1
# Number of values that are inspected at once.
_BLOCK = 2**20


@dataclass(frozen=True)
class PixelScale:
    """The scale of the pixels in `fit`; calling it converts images to that scale, or raises a ValueError.

    Images of equal values give equal numbers whatever their dtype, and each image is checked by its own values,
    independently of the others. Results are uint8, where 255 is white, or floats as the network sees them.

    Parameters
    ----------
    kind : "uint8", 8-bit pixels from 0 to 255, where later floats are fractions of white; "integer", such pixels in
        another dtype of whole numbers; "unit", fractions of white, where later uint8 is from 0 to 255; "raw", any
        other numbers (more than 8 bits, negative, standardised, only 0 and 1), which stay as they are; "unknown", for
        models saved before the scale was stored.
    low, high : extremes in `fit`.
    whole : whether all values in `fit` were whole numbers.
    """

    kind: str
    low: float
    high: float
    whole: bool

    @classmethod
    def of(cls, images: np.ndarray) -> Self:
        """Learn the scale of images (n, ...)."""
        low, high, whole = math.inf, -math.inf, True
        for block in _blocks(images):
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            whole = whole and _is_whole(block)
            if images.dtype == np.uint8 and high > 1:
                # The remaining images cannot change this.
                return cls("uint8", 0.0, float(WHITE), True)
        return cls(_kind(images.dtype, low, high, whole), low, high, whole)

    @property
    def white(self) -> int:
        """The pixel value in X that the network sees as 1."""
        return WHITE if self.kind in ("uint8", "integer") else 1

    def keeps(self, dtype: np.dtype[Any]) -> bool:
        """Return whether images of a dtype need no conversion or check, whatever their values."""
        return self.kind == "unknown" or (dtype == np.uint8 and self.kind in ("uint8", "integer", "unit"))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return images (n, ...) of any real dtype on this scale."""
        if self.keeps(images.dtype) or not len(images):
            return images
        integers = images.dtype.kind in "iu"
        if integers and self.kind in ("uint8", "integer"):
            self._check(images, 0, WHITE, "Rescale X to that range, or fit on such images.")
            return images.astype(np.uint8)
        if self.kind == "uint8":
            self._check(images, _LOWEST, _HIGHEST, "Pass X.astype('uint8'), or fractions of white, X / 255.")
            return _as_floats(images)
        if self.kind == "unit":
            highest = 1 if integers else _HIGHEST
            self._check(images, _LOWEST, highest, "Pass X / 255, or pixels from 0 to 255 as X.astype('uint8').")
            return _as_floats(images)
        self._check_raw(images)
        return _as_floats(images) / np.float32(WHITE) if self.kind == "integer" else _as_floats(images)

    def _check_raw(self, images: np.ndarray) -> None:
        """Raise a ValueError for images that were divided since `fit`, or whole numbers of a far wider range."""
        low, high = _extremes(images)
        if images.dtype == np.uint8 and self.whole and self.high > 2 * WHITE:
            raise self._error(images, 0, "Scale X as in fit, or fit on such images.")
        if self.high > 1 and (self.whole or (self.low >= 0 and WHITE / 2 < self.high <= WHITE)):
            for row in np.flatnonzero((low >= 0) & (high <= 1) & (high > 0)):
                if not _is_whole(images[row]):
                    raise self._error(
                        images, int(row), f"Undo the division (X * {self.high:.4g}), or fit on such images."
                    )
        if self.whole and not (self.low >= 0 and self.high <= WHITE):
            # Counts have outliers.
            return
        span = max(1.0, self.high - self.low)
        for row in np.flatnonzero((low < self.low - span) | (high > self.high + span)):
            if _is_whole(images[row]):
                raise self._error(images, int(row), "Scale X as in fit, or fit on such images.")

    def _check(self, images: np.ndarray, lowest: float, highest: float, remedy: str) -> None:
        low, high = _extremes(images)
        outside = np.flatnonzero((low < lowest) | (high > highest))
        if len(outside):
            raise self._error(images, int(outside[0]), remedy)

    def _error(self, images: np.ndarray, row: int, remedy: str) -> ValueError:
        low, high = images[row].min(), images[row].max()
        seen = {"uint8": "8-bit pixels from 0 to 255", "unit": "floats from 0 to 1"}.get(
            self.kind, f"values from {self.low:.4g} to {self.high:.4g}"
        )
        return ValueError(
            f"X has {images.dtype} values from {low:.4g} to {high:.4g} in row {row}, but fit saw {seen}. {remedy}"
        )


def fractions(images: np.ndarray) -> np.ndarray:
    """Return images as float32 on the scale that the network sees: uint8 is divided by 255."""
    return images.astype(np.float32) / np.float32(WHITE) if images.dtype == np.uint8 else _as_floats(images)


def as_pixels(X: Any, **rules: Any) -> np.ndarray:
    """Return X as an array of numbers; an object array gets the dtype of its numbers.

    Parameters
    ----------
    X : array, DataFrame or list.
    rules : further arguments of scikit-learn's `check_array`.

    Raises
    ------
    ValueError : if X is not numeric, or has too few dimensions.
    """
    check_no_dates(X)
    try:
        return check_array(_unboxed(X), dtype="numeric", ensure_all_finite=False, input_name="X", **rules)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".:")[:150]
        raise ValueError(f"X cannot be read as images: {reason}. Pass an array of numbers.") from error


def _unboxed(X: Any) -> Any:
    if hasattr(X, "to_numpy"):
        # scikit-learn would convert a DataFrame's integers to floats.
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim > 1:
        numbers = np.array(X.tolist())
        return numbers if numbers.dtype.kind in "USbuif" and numbers.shape == X.shape else X
    return X


def _kind(dtype: np.dtype[Any], low: float, high: float, whole: bool) -> str:
    if dtype.kind in "iu" and low >= 0 and high <= WHITE:
        return "raw" if high == 1 else "uint8" if dtype == np.uint8 else "integer"
    if not whole and low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return "unit"
    return "raw"


def _as_floats(images: np.ndarray) -> np.ndarray:
    # float64 is slower, and half precision cannot be summed.
    return images.astype(np.float32, copy=False)


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _BLOCK // max(1, math.prod(images.shape[1:])))
    return (images[start : start + step] for start in range(0, len(images), step))


def _extremes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the minimum and the maximum (n,) of each image."""
    axes = tuple(range(1, images.ndim))
    return images.min(axis=axes), images.max(axis=axes)


def _is_whole(images: np.ndarray) -> bool:
    return images.dtype.kind != "f" or bool((images == np.rint(images)).all())
