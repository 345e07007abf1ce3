"""Series views: one resampling along time and a few changes of value, for a whole batch at once."""

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

# As many series show the scale of all.
_STATISTICS_SAMPLES = 256
# Knots of a random curve over the whole of a series.
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
    """Views by crop, warp, noise, scale and masks, each series with draws of its own.

    Crop, warp and segments act on a series from its first step that is there to its last; padding before and after
    stays where it is, and missing values in between move with their neighbours. All else acts on values standardised
    by their channel's mean and deviation in `fit`. At 0 an operation is off.

    Parameters
    ----------
    n_views : number of views.
    crop_scale : smallest and largest share of the series that a view shows, stretched to the whole length.
    time_warp : largest deviation of the logarithm of the speed at which time runs.
    segments : largest number of equal segments that change places; 1 leaves the order.
    jitter : largest deviation of the noise added to every value.
    scaling : largest deviation of the logarithm of the factor of a channel.
    magnitude_warp : largest deviation of the logarithm of a factor that changes slowly over time.
    frequency_mask : largest share of the frequencies that are taken out; the mean over time stays.
    channel_mask : probability that a channel is set to its mean; at least one is kept.
    time_mask : largest share of the series, in one stretch, that is set to the channels' means.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    Notes
    -----
    Each series of each view draws the strength of an operation anew, uniform from 0 to the largest.

    Masks set the mean and not NaN, so that an encoder which knows nothing of NaN can be trained on whole series.

    References
    ----------
    Um et al. 2017 (jitter, scaling, magnitude and time warp, crop, permutation) and Eldele et al. 2021 (TS-TCC);
    masks of time: Park et al. 2019 (SpecAugment), of frequency: Zhang et al. 2022 (TF-C). Differs: crop, time warp
    and permutation are one linear interpolation; factors are log-normal, so that none changes the sign; curves are
    linear between knots instead of cubic; strengths are drawn; segments are equally long.

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
        """Learn from some of the series the mean and the deviation of each channel.

        Parameters
        ----------
        samples : n series; `samples[rows]` is (B, C, T) float32.

        Raises
        ------
        ValueError : if the samples are no series.
        """
        x = samples[np.arange(0, len(samples), max(1, len(samples) // _STATISTICS_SAMPLES))]
        if x.ndim != 3 or not x.is_floating_point():
            raise ValueError(f"series views take samples of (channels, time), got {tuple(x.shape[1:])}")
        self.mean_, self.deviation_ = channel_statistics(x)
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Make `n_views` views (B, C, T).

        Parameters
        ----------
        x : (B, C, T) float32 with NaN where nothing is; not written to.
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
            # The frequency 0 is the level of the series.
            masked[:, 0] = False
            x = mask_frequencies(x, masked)
        if self.jitter:
            x = x + draws.curves(self.jitter, *x.shape[1:])
        return torch.where(self._masked(x, time.values, draws), 0.0, x)

    def _move(self, time: Tensor, draws: Draws) -> Tensor:
        """Say at which relative times (B, T) of its series a view looks: crop, warp and permutation in one."""
        if self.segments > 1:
            n_segments = draws.uniform(1, self.segments + 1).long()
            unused = torch.arange(self.segments, device=time.device) >= n_segments[:, None]
            time = permute(time, n_segments, draws.uniform(0, 1, self.segments).masked_fill(unused, 2.0).argsort(1))
        if self.time_warp:
            time = warp(time, draws.curves(self.time_warp, 1, _KNOTS)[:, 0])
        share = draws.uniform(*self.crop_scale)
        return draws.uniform(0, 1 - share)[:, None] + share[:, None] * time

    def _masked(self, x: Tensor, time: Tensor, draws: Draws) -> Tensor:
        """Say which values (B, C, T) of a view are masked."""
        share = draws.uniform(0, self.time_mask)[:, None]
        since = time - draws.uniform(0, 1)[:, None] * (1 - share)
        luck = draws.uniform(0, 1, x.shape[1])
        # One channel at least is kept.
        channels = (luck < self.channel_mask) & (luck < luck.amax(1, keepdim=True))
        return (((since >= 0) & (since < share))[:, None] | channels[:, :, None]) & ~x.isnan()


class RelativeTime:
    """Relative time of each series: 0 at its first step that is there, 1 at its last.

    Parameters
    ----------
    x : (B, C, T) with NaN where nothing is.

    Attributes
    ----------
    values : (B, T); before and after the series it is held at 0 and 1.
    """

    def __init__(self, x: Tensor) -> None:
        there = (~x.isnan().all(1)).int()
        self.steps = torch.arange(x.shape[2], device=x.device)
        self.first = there.argmax(1, keepdim=True)
        self.last = x.shape[2] - 1 - there.flip(1).argmax(1, keepdim=True)
        self.span = self.last - self.first
        self.values = ((self.steps - self.first) / self.span.clamp(min=1)).clamp(0, 1)

    def steps_at(self, time: Tensor) -> Tensor:
        """Take times (B, T) to steps; those outside of the series stay where they are."""
        inside = (self.first <= self.steps) & (self.steps <= self.last)
        return torch.where(inside, self.first + time * self.span, self.steps)


def resample(x: Tensor, steps: Tensor) -> Tensor:
    """Look series up at places between their steps.

    Parameters
    ----------
    x : (B, C, T).
    steps : (B, S), from 0 to T - 1.

    Returns
    -------
    (B, C, S), linear between two steps; where one of them is NaN, the nearer one as it is.
    """
    before = steps.long()
    after = (before + 1).clamp(max=x.shape[2] - 1)
    share = (steps - before)[:, None]
    one, other = (x.gather(2, place[:, None].expand(-1, x.shape[1], -1)) for place in (before, after))
    between = torch.lerp(one, other, share)
    return torch.where(between.isnan(), torch.where(share < 0.5, one, other), between)


def warp(time: Tensor, knots: Tensor) -> Tensor:
    """Let time run at a speed that changes, from the same start to the same end.

    Parameters
    ----------
    time : (B, T) in [0, 1].
    knots : (B, K) logarithms of the speed in K equal stretches of the time.

    Returns
    -------
    (B, T) in [0, 1].
    """
    travelled = F.pad(knots.exp(), (1, 0)).cumsum(1)
    return resample((travelled / travelled[:, -1:])[:, None], time * knots.shape[1])[:, 0]


def permute(time: Tensor, n_segments: Tensor, order: Tensor) -> Tensor:
    """Let equal segments of time change places.

    Parameters
    ----------
    time : (B, T) in [0, 1].
    n_segments : (B,), up to S.
    order : (B, S), whose first n_segments entries say which segment comes when.

    Returns
    -------
    (B, T) in [0, 1].
    """
    n = n_segments[:, None]
    place = (time * n).long().minimum(n - 1)
    return (order.gather(1, place) + time * n - place) / n


def mask_frequencies(x: Tensor, masked: Tensor) -> Tensor:
    """Take frequencies out of series.

    Parameters
    ----------
    x : (B, C, T); NaN counts as 0, and stays NaN.
    masked : (B, T // 2 + 1) bool, by frequency from 0 up.

    Returns
    -------
    (B, C, T).
    """
    missing = x.isnan()
    spectrum = torch.fft.rfft(x.masked_fill(missing, 0.0))
    kept = torch.fft.irfft(spectrum.masked_fill(masked[:, None], 0.0), n=x.shape[2])
    return kept.masked_fill(missing, torch.nan)
