"""Time series: arrays of one length, or lists of unequal ones."""

import copy
import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array
from torch import Tensor, nn

from skclr.data.missing import channel_statistics
from skclr.data.ragged import Ragged, with_short_last
from skclr.data.stored import Stored, pieces
from skclr.files.plain import check_learned_array
from skclr.modalities.base import Modality, check_no_dates, check_two_samples, unmasked
from skclr.modalities.kernels import RandomKernels

# Enough for a mean and a deviation; more would only cost time.
_STATISTICS_ROWS = 256
# Twice the number of components of the kernels' outputs.
_KERNELS_ROWS = 1_024
# Series longer than those of `fit` are padded by at most a fifth.
_LENGTHS_PER_OCTAVE = 4
_LARGEST = float(np.finfo(np.float32).max)
# Rounding errors of float32, relative to the deviation of a channel.
_MOST_ROUNDING = 0.02
# Deviations, relative to the mean, that are themselves rounding errors of float64.
_LEAST_DEVIATION = 1e-10


class Series(Modality):
    """Series (n, channels, time), (n, time), or a list of (channels, time_i) or (time_i,) of unequal lengths.

    NaN is a missing value; a step that is NaN in all channels counts as absent, like those after the end of a shorter
    series. Series of any length can be embedded, whatever the lengths in `fit`.

    The plain features are summaries of the outputs of fixed convolution kernels, as in MiniRocket.

    Parameters
    ----------
    channel_axis : 1 or -1, the axis of channels; None is 1, and raises an error if X then has more channels than steps.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr import ContrastiveEmbedder
    >>> X = np.random.default_rng(0).normal(size=(10, 100, 2))
    >>> ContrastiveEmbedder(modality_params={"channel_axis": -1}, max_epochs=0).fit_transform(X).shape
    (10, 640)
    """

    encoder = "tcn"
    views = "series"
    few_rows = 10_000
    any_length = True
    mean_: Tensor
    deviation_: Tensor
    gaps_: bool
    # None in files of earlier versions, whose plain features are the values.
    kernels_: RandomKernels | None = None

    def __init__(self, channel_axis: int | None = None) -> None:
        if channel_axis not in (None, 1, -1):
            raise ValueError(
                f"channel_axis={channel_axis!r}: pass 1 for (n, channels, time) or -1 for (n, time, channels)"
            )
        self.channel_axis = channel_axis

    def raw(self) -> Self:
        """See `Modality.raw`."""
        modality = copy.copy(self)
        modality.kernels_ = None
        return modality

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """See `Modality.read`; rows are time first, (n, time, channels)."""
        rows = X.parsed(self._read) if isinstance(X, Stored) else self._read(X)
        _, length, channels = rows.shape
        if reset:
            check_two_samples(rows)
            self._check_axes(length, channels)
            self.shape_ = channels, length
            self.gaps_ = isinstance(rows, Ragged) or any(bool(np.isnan(some).any()) for some in pieces(rows))
            step = max(1, len(rows) // _STATISTICS_ROWS)
            some = rows[np.arange(0, len(rows), step)]
            _check_precision(some)
            self.mean_, self.deviation_ = channel_statistics(self.to_tensor(some))
            some = self.to_tensor(rows[np.arange(0, len(rows), max(1, len(rows) // _KERNELS_ROWS))])
            self.kernels_ = RandomKernels().fit((some - self.mean_) / self.deviation_)
        elif channels != self.shape_[0]:
            single = "a single series as X[None], " if getattr(X, "ndim", 0) == 2 else ""
            raise ValueError(
                f"X has series of {channels} channel(s), but this embedder was fitted on {self.shape_[0]}. Pass "
                f"{single}the same channels in the same order, or fit again."
            )
        elif isinstance(rows, Ragged):
            rows.padded = self.padded_lengths(rows.lengths)
        return rows

    def padded_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """Return the padded lengths (n,) of series of `lengths` (n,); each depends on its own length only.

        Some implementations choose a kernel by the length; a series' bits would depend on the longest in the batch.
        """
        if not self.gaps_:
            # The network may not support NaN.
            return lengths
        longest = self.shape_[1]
        steps = np.ceil(_LENGTHS_PER_OCTAVE * np.log2(np.maximum(1.0, lengths / longest)))
        return np.maximum(lengths, np.ceil(longest * 2 ** (steps / _LENGTHS_PER_OCTAVE)).astype(int))

    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Return rows (B, T, C) as a tensor (B, C, T)."""
        return torch.from_numpy(np.moveaxis(rows, 2, 1).astype(np.float32, order="C"))

    def join(self, rows: Any, more: Any) -> Any:
        """Return the rows of two calls of `read`, concatenated and padded to the longest of both."""
        kinds = {type(rows), type(more)}
        if Stored in kinds or (rows.shape[1:] == more.shape[1:] and Ragged not in kinds):
            return super().join(rows, more)
        joined = _as_ragged(rows).join(_as_ragged(more))
        return Ragged(joined.values, joined.offsets, max(rows.shape[1], more.shape[1]), np.nan)

    def example(self) -> Tensor:
        """Return two series of zeros; the second has one step if X had gaps or unequal lengths."""
        return with_short_last(super().example()) if self.gaps_ else super().example()

    def preprocessing(self) -> nn.Module:
        """Return the layer that standardises the channels; NaN stays."""
        return StandardizeSeries(self.mean_, self.deviation_)

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`; X is float32 with channels, of the longest length in `fit`, NaN after an end."""
        if self.channel_axis == -1:
            return TimeLast(), torch.zeros(2, *self.shape_[::-1])
        return nn.Identity(), torch.zeros(2, *self.shape_)

    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, 512) of `RandomKernels`; files of earlier versions have the values instead."""
        standardized = (x - self.mean_.to(x.device)) / self.deviation_.to(x.device)
        if self.kernels_ is not None:
            return self.kernels_(standardized)
        return F.pad(standardized.nan_to_num(nan=0.0), (0, self.shape_[1] - x.shape[2])).flatten(1)

    @property
    def even_features(self) -> bool:  # type: ignore[override]
        """Return whether all plain features have the same variance."""
        return self.kernels_ is not None

    def n_features(self) -> int:
        """Return the number of plain features."""
        return math.prod(self.shape_) if self.kernels_ is None else self.kernels_.n_features

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        channels, _ = self.shape_
        check_learned_array("mean_", self.mean_, (channels, 1), torch.float32)
        check_learned_array("deviation_", self.deviation_, (channels, 1), torch.float32)
        if self.kernels_ is not None:
            self.kernels_.check_shape(self.shape_)

    def _read(self, X: Any) -> np.ndarray | Ragged:
        rows = self._read_list(X) if _is_list(X) else self._read_array(X)
        _check_values(rows)
        return rows

    def _read_array(self, X: Any) -> np.ndarray:
        series = check_array(_numbers(X), allow_nd=True, ensure_2d=False, ensure_all_finite=False, input_name="X")
        if series.ndim not in (2, 3) or not series.size:
            raise ValueError(
                f"X of shape {series.shape} does not hold series. Pass (n, channels, time), (n, time) for one channel, "
                "X[None] for a single series, or a list of arrays (channels, time_i)."
            )
        if series.ndim == 2:
            return series[:, :, None]
        return series if self.channel_axis == -1 else np.moveaxis(series, 1, 2)

    def _read_list(self, X: Sequence[Any]) -> Ragged:
        samples = [self._read_one(row, sample) for row, sample in enumerate(X)]
        if not samples:
            raise ValueError("X has 0 sample(s) (n_samples=0). Pass 2 or more series.")
        channels = [sample.shape[1] for sample in samples]
        odd = next((row for row, n in enumerate(channels) if n != channels[0]), None)
        if odd is not None:
            time_first = self.channel_axis != -1 and len({len(sample) for sample in samples}) == 1
            remedy = (
                "Set modality_params={'channel_axis': -1} if they are (time_i, channels)."
                if time_first
                else "Pass (channels, time_i) arrays with all channels, and NaN for missing values."
            )
            raise ValueError(
                f"X has series of {channels[0]} channel(s) in row 0 and of {channels[odd]} in row {odd}. {remedy}"
            )
        return Ragged.of(samples, max(map(len, samples)), np.nan)

    def _read_one(self, row: int, sample: Any) -> np.ndarray:
        """Return a series (C, T) or (T,) as (T, C)."""
        try:
            series = _numbers(sample)
        except ValueError as error:
            raise ValueError(f"series in row {row} of X is not an array of numbers: {error}") from error
        if series.ndim not in (1, 2):
            raise ValueError(
                f"series in row {row} of X has shape {series.shape}. Pass a list of (channels, time_i) or (time_i,) "
                "arrays."
            )
        if not series.size:
            raise ValueError(f"series in row {row} of X is empty, of shape {series.shape}. Drop it.")
        # Integers have no NaN for padding.
        series = series.astype(np.result_type(series, np.float32), copy=False)
        if series.ndim == 1:
            return series[:, None]
        return series if self.channel_axis == -1 else series.T

    def _check_axes(self, length: int, channels: int) -> None:
        if self.channel_axis is None and channels > length:
            raise ValueError(
                f"X has {channels} channels of {length} step(s) if it is (n, channels, time), but looks like (n, time, "
                "channels). Set modality_params={'channel_axis': -1} if it is, otherwise {'channel_axis': 1}."
            )


class TimeLast(nn.Module):
    """Move the time axis from (B, T, C) to the end, (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        """Swap the last two axes."""
        return x.mT


class StandardizeSeries(nn.Module):
    """Subtract each channel's mean and divide by its deviation; NaN stays.

    Parameters
    ----------
    mean, deviation : (C, 1) statistics of the channels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardised (B, C, T)."""
        return (x - self.mean) / self.deviation


def _is_list(X: Any) -> bool:
    """Return whether X is a list of series, or an object array with one series per entry."""
    return isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1)


def _numbers(X: Any) -> np.ndarray:
    """Return X as an array of real numbers; raise a ValueError if it holds anything else."""
    check_no_dates(X)
    array = np.asarray(unmasked(X))
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"X holds objects where series need numbers ({error}). Pass (n, channels, time) numbers, or a list "
                "of (channels, time_i) arrays."
            ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X holds {array.dtype} values where series need real numbers. Convert or encode them first.")
    return array


def _as_ragged(rows: np.ndarray | Ragged) -> Ragged:
    if isinstance(rows, Ragged):
        return rows
    n, length, channels = rows.shape
    return Ragged(rows.astype(np.float32).reshape(-1, channels), np.arange(n + 1) * length, length, np.nan)


def _check_values(rows: np.ndarray | Ragged) -> None:
    """Raise a ValueError for infinite values, and for series that are NaN throughout."""
    # fmin and fmax ignore NaN, and need no array of X's size.
    low, high = (_extremes(extreme, rows).astype(np.float64) for extreme in (np.fmin, np.fmax))
    infinite = (low < -_LARGEST) | (high > _LARGEST)
    if infinite.any():
        raise ValueError(
            f"X contains infinity, or a number beyond float32, in row {infinite.argmax()}. Use NaN for missing "
            "values, or rescale X."
        )
    empty = np.isnan(high)
    if empty.any():
        raise ValueError(f"The series in row {empty.argmax()} of X contains only NaN. Drop it.")


def _check_precision(series: np.ndarray) -> None:
    """Raise a ValueError for a channel of (n, T, C) that varies too little for its size to be computed in float32."""
    values = np.ma.masked_invalid(series.reshape(-1, series.shape[2]).astype(np.float64))
    rounding, deviation, mean = (values - values.astype(np.float32)).std(0), values.std(0), values.mean(0)
    lost = (rounding > _MOST_ROUNDING * deviation) & (deviation > _LEAST_DEVIATION * abs(mean))
    channels = np.flatnonzero(np.ma.filled(lost, False))
    if len(channels):
        raise ValueError(
            f"channel {channels[0]} of X varies by {deviation[channels[0]]:.3g} around {mean[channels[0]]:.3g}, which "
            "float32 cannot resolve. Subtract its mean, or rescale it."
        )


def _extremes(extreme: np.ufunc, rows: np.ndarray | Ragged) -> np.ndarray:
    """Return the minimum or maximum (n,) of each series, by np.fmin or np.fmax."""
    if isinstance(rows, Ragged):
        return extreme.reduceat(extreme.reduce(rows.values, axis=1), rows.offsets[:-1])
    return extreme.reduce(rows, axis=(1, 2))
