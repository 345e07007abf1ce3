"""Series views: one resampling along time and a few changes of values, for a whole batch at once."""

import math
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skclr.arguments import check_number, check_pair
from skclr.data.missing import channel_statistics
from skclr.views.base import Samples, Views, check_n_views
from skclr.views.draws import Draws

# Number of series from which the scale is estimated.
_STATISTICS_SAMPLES = 256
# Knots of a random curve over a whole series.
_KNOTS = 6
_LARGEST: dict[str, float] = {
    "time_warp": math.inf,
    "jitter": math.inf,
    "scaling": math.inf,
    "magnitude_warp": math.inf,
    "frequency_mask": 1,
    "channel_mask": 1,
    "time_mask": 1,
}


class SeriesViews(Views):
    """Augment time series by crop, warp, noise, scaling and masks, drawn per series.

    Crop, warp and segments act on a series from its first observed step to its last; padding before and after stays in
    place, and missing values in between move with their neighbours. The other operations act on values standardised by
    the mean and standard deviation of their channel in `fit`. At 0 an operation is off.

    Parameters
    ----------
    n_views : number of views.
    crop_scale : smallest and largest share of the series in a view, stretched to the whole length.
    time_warp : largest standard deviation of the logarithm of the speed of time.
    segments : largest number of equal segments that are permuted; 1 keeps the order.
    jitter : largest standard deviation of the noise added to every value.
    scaling : largest standard deviation of the logarithm of the factor of a channel.
    magnitude_warp : largest standard deviation of the logarithm of a factor that varies slowly over time.
    frequency_mask : largest share of the frequencies that are removed; the mean over time is kept.
    channel_mask : probability that a channel is set to its mean; at least one is kept.
    time_mask : largest share of the series, in one piece, that is set to the channel means.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    Notes
    -----
    The strength of each operation is drawn for every series and view, uniformly from 0 to the largest.

    Masked values are set to the mean instead of NaN, so that encoders without NaN support can be trained on complete
    series.

    References
    ----------
    Um et al. 2017 (jitter, scaling, magnitude and time warp, crop, permutation) and Eldele et al. 2021 (TS-TCC); time
    masks: Park et al. 2019 (SpecAugment); frequency masks: Zhang et al. 2022 (TF-C). Differs: crop, time warp and
    permutation are one linear interpolation; factors are log-normal, so that signs are kept; curves are linear between
    knots instead of cubic; strengths are drawn; segments have equal length.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import SeriesViews
    >>> x = torch.randn(8, 2, 100)
    >>> maker = SeriesViews(crop_scale=(0.5, 1.0), time_warp=0.2).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> [tuple(view.shape) for view in views]
    [(8, 2, 100), (8, 2, 100)]
    """

    def __init__(
        self,
        *,
        n_views: int = 2,
        crop_scale: tuple[float, float] = (0.4, 1.0),
        time_warp: float = 0.0,
        segments: int = 1,
        jitter: float = 0.2,
        scaling: float = 0.3,
        magnitude_warp: float = 0.0,
        frequency_mask: float = 0.0,
        channel_mask: float = 0.2,
        time_mask: float = 0.2,
    ) -> None:
        self.n_views = n_views
        self.crop_scale = crop_scale
        self.time_warp = time_warp
        self.segments = segments
        self.jitter = jitter
        self.scaling = scaling
        self.magnitude_warp = magnitude_warp
        self.frequency_mask = frequency_mask
        self.channel_mask = channel_mask
        self.time_mask = time_mask
        check_n_views(n_views, least=2)
        check_number("segments", segments, 1, whole=True)
        check_pair("crop_scale", crop_scale, 1)
        for name, most in _LARGEST.items():
            check_number(name, getattr(self, name), 0, most)

    def fit(self, samples: Samples) -> Self:
        """Estimate the mean and standard deviation of each channel from some of the series.

        Parameters
        ----------
        samples : n series; `samples[rows]` is (B, C, T) float32.

        Raises
        ------
        ValueError : if the samples are not series.
        """
        x = samples[np.arange(0, len(samples), max(1, len(samples) // _STATISTICS_SAMPLES))]
        if x.ndim != 3 or not x.is_floating_point():
            raise ValueError(f"series views take samples of (channels, time), got {tuple(x.shape[1:])}")
        self.mean_, self.deviation_ = channel_statistics(x)
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return `n_views` views (B, C, T).

        Parameters
        ----------
        x : (B, C, T) float32 with NaN for missing values and padding; not written to.
        rows : (B,) int64, not used.
        generator : source of all randomness, on the device of x.
        """
        mean, deviation = (values.to(x.device, non_blocking=True) for values in (self.mean_, self.deviation_))
        x = (x - mean) / deviation
        time, draws = RelativeTime(x), Draws(len(x), generator)
        return [self._view(x, time, draws) * deviation + mean for _ in range(self.n_views)]

    def _view(self, x: Tensor, time: "RelativeTime", draws: Draws) -> Tensor:
        x = resample(x, time.steps_at(self._move(time.values, draws)))
        if self.scaling:
            x = x * draws.curves(self.scaling, x.shape[1], 1).exp()
        if self.magnitude_warp:
            knots = draws.curves(self.magnitude_warp, x.shape[1], _KNOTS)
            x = x * resample(knots, time.values * (_KNOTS - 1)).exp()
        if self.frequency_mask:
            masked = draws.uniform(0, 1, x.shape[2] // 2 + 1) < draws.uniform(0, self.frequency_mask)[:, None]
            # Frequency 0 is the level of the series.
            masked[:, 0] = False
            x = mask_frequencies(x, masked)
        if self.jitter:
            x = x + draws.curves(self.jitter, *x.shape[1:])
        return torch.where(self._masked(x, time.values, draws), 0.0, x)

    def _move(self, time: Tensor, draws: Draws) -> Tensor:
        """Return the relative times (B, T) of the series that a view shows: crop, warp and permutation in one."""
        if self.segments > 1:
            n_segments = draws.uniform(1, self.segments + 1).long()
            unused = torch.arange(self.segments, device=time.device) >= n_segments[:, None]
            time = permute(time, n_segments, draws.uniform(0, 1, self.segments).masked_fill(unused, 2.0).argsort(1))
        if self.time_warp:
            time = warp(time, draws.curves(self.time_warp, 1, _KNOTS)[:, 0])
        share = draws.uniform(*self.crop_scale)
        return draws.uniform(0, 1 - share)[:, None] + share[:, None] * time

    def _masked(self, x: Tensor, time: Tensor, draws: Draws) -> Tensor:
        """Return which values (B, C, T) of a view are masked."""
        share = draws.uniform(0, self.time_mask)[:, None]
        since = time - draws.uniform(0, 1)[:, None] * (1 - share)
        draw = draws.uniform(0, 1, x.shape[1])
        # At least one channel is kept.
        channels = (draw < self.channel_mask) & (draw < draw.amax(1, keepdim=True))
        return (((since >= 0) & (since < share))[:, None] | channels[:, :, None]) & ~x.isnan()


class RelativeTime:
    """Relative time of each series: 0 at its first observed step, 1 at its last.

    Parameters
    ----------
    x : (B, C, T) with NaN for missing values and padding.

    Attributes
    ----------
    values : (B, T); 0 before and 1 after the series.
    """

    def __init__(self, x: Tensor) -> None:
        observed = (~x.isnan().all(1)).int()
        self.steps = torch.arange(x.shape[2], device=x.device)
        self.first = observed.argmax(1, keepdim=True)
        self.last = x.shape[2] - 1 - observed.flip(1).argmax(1, keepdim=True)
        self.span = self.last - self.first
        self.values = ((self.steps - self.first) / self.span.clamp(min=1)).clamp(0, 1)

    def steps_at(self, time: Tensor) -> Tensor:
        """Convert times (B, T) to steps; steps outside the series stay where they are."""
        inside = (self.first <= self.steps) & (self.steps <= self.last)
        return torch.where(inside, self.first + time * self.span, self.steps)


def resample(x: Tensor, steps: Tensor) -> Tensor:
    """Interpolate series at positions between their steps.

    Parameters
    ----------
    x : (B, C, T).
    steps : (B, S), from 0 to T - 1.

    Returns
    -------
    (B, C, S), linear between two steps; if one of them is NaN, the value of the nearer one.
    """
    before = steps.long()
    after = (before + 1).clamp(max=x.shape[2] - 1)
    share = (steps - before)[:, None]
    one, other = (x.gather(2, place[:, None].expand(-1, x.shape[1], -1)) for place in (before, after))
    between = torch.lerp(one, other, share)
    return torch.where(between.isnan(), torch.where(share < 0.5, one, other), between)


def warp(time: Tensor, knots: Tensor) -> Tensor:
    """Warp time by a varying speed, keeping its start and end.

    Parameters
    ----------
    time : (B, T) in [0, 1].
    knots : (B, K) logarithms of the speed in K equal intervals of time.

    Returns
    -------
    (B, T) in [0, 1].
    """
    travelled = F.pad(knots.exp(), (1, 0)).cumsum(1)
    return resample((travelled / travelled[:, -1:])[:, None], time * knots.shape[1])[:, 0]


def permute(time: Tensor, n_segments: Tensor, order: Tensor) -> Tensor:
    """Permute equal segments of time.

    Parameters
    ----------
    time : (B, T) in [0, 1].
    n_segments : (B,), up to S.
    order : (B, S), whose first n_segments entries are the order of the segments.

    Returns
    -------
    (B, T) in [0, 1].
    """
    n = n_segments[:, None]
    place = (time * n).long().minimum(n - 1)
    return (order.gather(1, place) + time * n - place) / n


def mask_frequencies(x: Tensor, masked: Tensor) -> Tensor:
    """Remove frequencies from series.

    Parameters
    ----------
    x : (B, C, T); NaN counts as 0 and stays NaN.
    masked : (B, T // 2 + 1) bool, by frequency from 0 up.

    Returns
    -------
    (B, C, T).
    """
    missing = x.isnan()
    spectrum = torch.fft.rfft(x.masked_fill(missing, 0.0))
    kept = torch.fft.irfft(spectrum.masked_fill(masked[:, None], 0.0), n=x.shape[2])
    return kept.masked_fill(missing, torch.nan)
