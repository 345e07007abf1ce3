"""Audio: mono clips, converted to log-mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skclr.arguments import check_number
from skclr.data.ragged import Ragged, with_short_last
from skclr.data.stored import Stored
from skclr.files.plain import check_learned_array
from skclr.modalities.base import LARGEST_SAMPLE, Modality, check_two_samples, check_unmasked
from skclr.modalities.mel import LogMel, time_bins

# Clips that suffice for a band's mean and deviation.
_STATISTICS_CLIPS = 256
# Samples per second beyond any microphone, and samples per frame too few for a spectrum: the user meant another unit.
_HIGHEST_RATE = 1_000_000
_SHORTEST_FRAME = 8
# The energy of louder samples overflows float32.
_LOUDEST = np.float64(1e15)
# For the plain features: enough to distinguish the beginning of a word from its end.
_TIME_BINS = 8


class Audio(Modality):
    """Clips of mono sound: (n, samples), or a list of arrays (samples_i,) of unequal lengths.

    Integers of 16 or 32 bits are scaled by their range to [-1, 1], floats are taken as they are.

    Parameters
    ----------
    sampling_rate : samples per second; required.
    n_mels : number of bands of the spectrogram.
    window, hop : length of a frame, and distance between the starts of two frames, in seconds.
    min_frequency, max_frequency : range of the bands, in hertz; None is half the sampling rate.
    dynamic_range : range of levels that are distinguished, in decibels below the reference.
    normalize_level : whether the reference is the loudest moment of each clip; if False it is full scale, for data in
        which loudness itself matters.
    max_seconds : length to which clips are cut; None is the longest clip of the fit.

    Raises
    ------
    ValueError : if sampling_rate is missing or a parameter is out of its range.

    Notes
    -----
    All clips are padded to the longest in `transform`, so one long recording among short ones costs time; set
    max_seconds to avoid that.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr import ContrastiveEmbedder
    >>> X = np.random.default_rng(0).normal(size=(10, 8_000))
    >>> ContrastiveEmbedder(modality_params={"sampling_rate": 8_000}, max_epochs=0).fit_transform(X).shape
    (10, 256)
    """

    encoder = "spectrogram"
    told_by = "sampling_rate"
    views = "audio"
    any_length = True
    # A step takes several times as long as one of images: about 5 minutes in all for clips of a second, on one core.
    n_steps = 500
    mean_: Tensor
    deviation_: Tensor

    def __init__(
        self,
        sampling_rate: float | None = None,
        n_mels: int = 64,
        window: float = 0.025,
        hop: float = 0.01,
        min_frequency: float = 0.0,
        max_frequency: float | None = None,
        dynamic_range: float = 60.0,
        normalize_level: bool = True,
        max_seconds: float | None = None,
    ) -> None:
        if sampling_rate is None:
            raise ValueError(
                "sampling_rate is missing, but audio needs it. Pass the samples per second, for example "
                "modality_params={'sampling_rate': 16000}."
            )
        self.sampling_rate = sampling_rate
        self.n_mels = n_mels
        self.window = window
        self.hop = hop
        self.min_frequency = min_frequency
        self.max_frequency = max_frequency
        self.dynamic_range = dynamic_range
        self.normalize_level = normalize_level
        self.max_seconds = max_seconds
        self._check()

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """See `Modality.read`; X is 2-D, or a sequence of 1-D arrays."""
        check_unmasked(X, "clips have no missing samples")
        clips = _clips(X[:1] if isinstance(X, Stored) else X)
        if reset:
            check_two_samples(X if isinstance(X, Stored) else clips)
            longest = np.inf if self.max_seconds is None else round(self.max_seconds * self.sampling_rate)
            self.shape_ = (int(min(clips.length, longest)),)
        clips.length = self.shape_[0]
        rows = X.parsed(self._padded) if isinstance(X, Stored) else clips
        if reset:
            self._learn_statistics(rows)
        return rows

    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Convert rows (B, T), float32, to a tensor; NaN follows a clip's end."""
        return torch.from_numpy(rows)

    def restore(self, x: Tensor, X: Any) -> np.ndarray:
        """Return log-mel spectrograms (B, n_mels, frames), not standardised; NaN follows a clip's end."""
        return self._log_mel()(x.cpu())[:, 0].numpy()

    def join(self, rows: Any, more: Any) -> Any:
        """Return the clips of two calls of `read`, concatenated."""
        return super().join(rows, more) if Stored in {type(rows), type(more)} else rows.join(more)

    def example(self) -> Tensor:
        """Return two silent clips, the second of one sample: views end early even if all clips have one length."""
        return with_short_last(super().example())

    def preprocessing(self) -> LogMel:
        """Return the layer that computes log-mel spectrograms, standardised by the bands' statistics in `fit`."""
        return self._log_mel(self.mean_, self.deviation_)

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`; X is float32, full scale at 1, as long as the longest of `fit`, NaN after an end."""
        return nn.Identity(), torch.zeros(2, *self.shape_)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean of each band in 8 equal parts of the clip, (B, 8 · n_mels)."""
        return time_bins(self.preprocessing().to(x.device)(x)[:, 0], _TIME_BINS).flatten(1)

    def facts(self) -> dict[str, Any]:
        """Return the facts of `Modality.facts` and the sampling rate, which views request."""
        return {**super().facts(), "sampling_rate": self.sampling_rate}

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        (_,) = self.shape_
        with torch.device("meta"):
            if self._log_mel().filters.numel() > LARGEST_SAMPLE:
                raise ValueError(f"window={self.window} with n_mels={self.n_mels} makes filters that are too large")
        check_learned_array("mean_", self.mean_, (self.n_mels,), torch.float32)
        check_learned_array("deviation_", self.deviation_, (self.n_mels,), torch.float32)

    def _log_mel(self, mean: Tensor | float = 0.0, deviation: Tensor | float = 1.0) -> LogMel:
        bands = self.n_mels, self.window, self.hop, self.min_frequency, self._highest()
        return LogMel(self.sampling_rate, *bands, self.dynamic_range, self.normalize_level, mean, deviation)

    def _padded(self, waves: np.ndarray) -> np.ndarray:
        clips = _clips(waves)
        clips.length = self.shape_[0]
        return clips[:]

    def _learn_statistics(self, clips: Any) -> None:
        chosen = np.arange(0, len(clips), max(1, len(clips) // _STATISTICS_CLIPS))
        log_mel, few = self._log_mel(), np.array_split(chosen, -(-len(chosen) // 16))
        # In small batches: spectra are many times as large as their bands.
        bands = torch.cat([log_mel(self.to_tensor(clips[rows]))[:, 0] for rows in few])
        self.mean_ = bands.nanmean((0, 2))
        deviation = (bands - self.mean_[:, None]).square().nanmean((0, 2)).sqrt()
        # Smaller deviations are rounding errors, as in a silent band.
        self.deviation_ = torch.where(deviation > 1e-3, deviation, 1.0)

    def _check(self) -> None:
        check_number("sampling_rate", self.sampling_rate, 1, _HIGHEST_RATE)
        check_number("n_mels", self.n_mels, 1, whole=True)
        check_number("dynamic_range", self.dynamic_range, 1)
        for name in ("window", "hop", "max_seconds"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 1 / _HIGHEST_RATE)
        if self.window * self.sampling_rate < _SHORTEST_FRAME:
            raise ValueError(
                f"sampling_rate={self.sampling_rate} with window={self.window} seconds makes frames of fewer than "
                f"{_SHORTEST_FRAME} samples. Pass samples per second (16000 for 16 kHz), or a longer window."
            )
        if self.max_frequency is not None:
            check_number("max_frequency", self.max_frequency, 1, self.sampling_rate / 2)
        check_number("min_frequency", self.min_frequency, 0, self._highest() - 1)

    def _highest(self) -> float:
        return self.sampling_rate / 2 if self.max_frequency is None else self.max_frequency


class Clips(Ragged):
    """Clips in their original dtype; a slice is float32, scaled to [-1, 1], with NaN after a clip's end."""

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        starts, ends = self.offsets[:-1][rows], self.offsets[1:][rows]
        batch = np.full((len(starts), self.length), np.nan, np.float32)
        # Clips are copied one by one: an index per sample would take eight bytes of memory for every two of sound.
        for row, start, end in zip(batch, starts, ends, strict=True):
            wave = self.values[start : min(end, start + self.length)]
            row[: len(wave)] = wave
        batch *= full_scale(self.values.dtype)
        return batch

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the slices."""
        return np.dtype(np.float32)

    def join(self, more: Ragged) -> Clips:
        """Return the clips of both, padded to the length of the first; in float32 if their dtypes differ."""
        values = [self.values, more.values]
        if self.values.dtype != more.values.dtype:
            values = [part * np.float32(full_scale(part.dtype)) for part in values]
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        return Clips(np.concatenate(values), offsets, self.length, np.nan)


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the factor that scales a dtype's range to [-1, 1]; 1 for floats."""
    return 1 / -float(np.iinfo(dtype).min) if dtype.kind == "i" else 1.0


def _clips(X: Any) -> Clips:
    clips = _read_clips(X)
    _check_clips(clips)
    return clips


def _read_clips(X: Any) -> Clips:
    if hasattr(X, "__array__") and (array := np.asarray(X)).dtype.kind != "O":
        if array.ndim != 2:
            raise ValueError(
                f"X of shape {array.shape} does not hold mono clips. Pass (n, samples), X[None] for a single clip, "
                "or a list of (samples_i,) arrays; average stereo over its channels first, X.mean(axis=1)."
            )
        return Clips(array.reshape(-1), np.arange(len(array) + 1) * array.shape[1], array.shape[1], np.nan)
    if isinstance(X, str) or not isinstance(X, Sequence | np.ndarray):
        raise TypeError(f"X is a {type(X).__name__}. Pass an array (n, samples) or a list of (samples_i,) arrays.")
    clips = [np.asarray(clip) for clip in X]
    for row, clip in enumerate(clips):
        if clip.ndim == 0:
            raise TypeError(
                f"clip {row} of X is {X[row]!r}, not an array. Pass arrays (samples,); read files first, for example "
                "with scipy.io.wavfile.read."
            )
        if clip.ndim != 1:
            raise ValueError(
                f"clip {row} of X has shape {clip.shape}. Pass (samples,); average stereo over its channels first."
            )
    dtypes = sorted({str(clip.dtype) for clip in clips})
    if len(dtypes) > 1:
        raise ValueError(f"X has clips of dtypes {' and '.join(dtypes)}, whose scales differ. Pass all in one dtype.")
    if not clips:
        raise ValueError("X has 0 sample(s) (n_samples=0). Pass at least one clip.")
    return Clips.of(clips, max(map(len, clips)), np.nan)


def _check_clips(clips: Clips) -> None:
    """Raise a ValueError for clips of another dtype, without samples, or with NaN or infinity."""
    values = clips.values
    if values.dtype.kind != "f" and values.dtype not in (np.int16, np.int32):
        raise ValueError(
            f"X has dtype {values.dtype}, whose scale is unknown. Pass int16, int32, or floats in [-1, 1], for "
            "example X.astype(np.int16)."
        )
    if not clips.lengths.all():
        raise ValueError(f"clip {clips.lengths.argmin()} of X has no samples. Drop it.")
    if values.dtype.kind == "f" and len(values):
        _check_finite(clips)


def _check_finite(clips: Clips) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        # One sum decides in most cases, and needs no array of X's size.
        if np.isfinite(clips.values.sum(dtype=np.float64)) and max(clips.values.max(), -clips.values.min()) < _LOUDEST:
            return
    wrong = np.flatnonzero(~(np.abs(clips.values) < _LOUDEST))
    if not len(wrong):
        return
    row = np.searchsorted(clips.offsets, wrong[0], side="right") - 1
    value = clips.values[wrong[0]]
    what = "NaN" if np.isnan(value) else f"{value:.0e}, which is too large," if np.isfinite(value) else "infinity"
    raise ValueError(
        f"Input X contains {what} in clip {row}, sample {wrong[0] - clips.offsets[row]}. Cut or repair it; pass clips "
        "of unequal lengths as a list of arrays, without padding."
    )
