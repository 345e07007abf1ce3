"""Audio views: the same sound in another room, at another speed, with other background noise."""

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skclr.arguments import check_number, check_pair
from skclr.pitch import mel
from skclr.randomness import randn
from skclr.views.base import Samples, Views, check_n_views
from skclr.views.draws import Draws

# Number of clips from which the typical length is estimated.
_LENGTH_SAMPLES = 256
# Share of the clips that fit into a view uncut. A few very long clips would make every batch as long as they are.
_WHOLE_SHARE = 0.9
_LARGEST: dict[str, float] = {
    "speed": 0.5,
    "shift": 1,
    "reverb": 1,
    "noise": 1,
    "time_mask": 1,
    "frequency_mask": 1,
}


class AudioViews(Views):
    """Augment audio by crop, speed, shift, reverberation, masks, noise and gain, drawn per clip.

    Parameters
    ----------
    sampling_rate : in Hz.
    n_views : number of views.
    view_seconds : maximum length of a view; with "auto", 90 % of the clips seen in fit remain uncut.
    crop : smallest and largest share of a clip that is kept, at a random position.
    speed : largest relative change of speed, in either direction. The sound is resampled, so its pitch changes too: by
        at most two semitones for 0.1, too little to change what is said.
    shift : largest circular shift, as a share of the clip.
    reverb : probability of reverberation.
    reverb_seconds : shortest and longest time in which the reverberation decays by 60 dB.
    time_mask : longest silenced interval, as a share of the clip.
    frequency_mask : widest silenced band, as a share of the mel scale up to half the sampling rate.
    noise : probability of noise, between white and pink.
    snr : lowest and highest signal-to-noise ratio, in decibels.
    gain : largest change of level, in either direction, in decibels; has an effect only if the modality's
        normalize_level is off.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    References
    ----------
    Speed: Ko et al. 2015, sec. 2. Differs: any factor in a range instead of 0.9, 1 and 1.1; linear interpolation, which
    attenuates frequencies near half the sampling rate.

    Reverberation: Ko et al. 2017, sec. 2. Differs: an impulse and exponentially decaying noise instead of simulated
    rooms; noise is stationary instead of recorded.

    Masks: Park et al. 2019 (SpecAugment), sec. 2. Differs: they are applied to the waveform, before the spectrogram; a
    time mask silences an interval and a frequency mask filters the whole clip, so both leave silence instead of the
    mean; one of each kind; no time warp.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import AudioViews
    >>> x = torch.randn(8, 8_000)
    >>> maker = AudioViews(8_000, view_seconds=0.5).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> [tuple(view.shape) for view in views]
    [(8, 4000), (8, 4000)]
    """

    facts = ("sampling_rate",)

    def __init__(
        self,
        sampling_rate: float | None = None,
        *,
        n_views: int = 2,
        view_seconds: float | Literal["auto"] = "auto",
        crop: tuple[float, float] = (0.7, 1.0),
        speed: float = 0.1,
        shift: float = 0.0,
        reverb: float = 0.3,
        reverb_seconds: tuple[float, float] = (0.05, 0.3),
        time_mask: float = 0.2,
        frequency_mask: float = 0.2,
        noise: float = 0.5,
        snr: tuple[float, float] = (10.0, 40.0),
        gain: float = 6.0,
    ) -> None:
        if sampling_rate is None:
            raise ValueError(
                "sampling_rate is missing. Use views='audio' with modality='audio', which knows it, or pass it in Hz: "
                "views_params={'sampling_rate': 16000}"
            )
        self.sampling_rate = sampling_rate
        self.n_views = n_views
        self.view_seconds = view_seconds
        self.crop = crop
        self.speed = speed
        self.shift = shift
        self.reverb = reverb
        self.reverb_seconds = reverb_seconds
        self.time_mask = time_mask
        self.frequency_mask = frequency_mask
        self.noise = noise
        self.snr = snr
        self.gain = gain
        self._check()

    def fit(self, samples: Samples) -> Self:
        """Choose the length of a view from some of the clips."""
        x = samples[np.arange(0, len(samples), max(1, len(samples) // _LENGTH_SAMPLES))]
        if x.ndim != 2:
            raise ValueError(f"audio views take clips (samples,), got {tuple(x.shape[1:])}")
        if self.view_seconds == "auto":
            lengths = (~x.isnan()).sum(1).float()
            self.length_ = int(lengths.quantile(_WHOLE_SHARE))
        else:
            self.length_ = min(x.shape[1], max(1, round(self.view_seconds * self.sampling_rate)))
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return n_views views (B, length) of clips (B, T) that are padded with NaN."""
        missing = x.isnan()
        waves, lengths = x.masked_fill(missing, 0.0), (~missing).sum(1)
        draws = Draws(len(x), generator)
        return [self._view(waves, lengths, draws) for _ in range(self.n_views)]

    def n_values(self, shape: tuple[int, ...]) -> int:
        """See `Views.n_values`; reverberation may be longer than the clip."""
        return power_of_two(math.prod(shape) + round(self.reverb_seconds[1] * self.sampling_rate))

    def _view(self, x: Tensor, lengths: Tensor, draws: Draws) -> Tensor:
        x, length = self._resample(x, lengths, draws)
        # From 0 to 1 within the clip, above 1 after its end.
        place = (torch.arange(self.length_, device=x.device) + 0.5) / length[:, None]
        inside = place < 1
        x = x * inside
        if self.reverb or self.frequency_mask:
            x = self._filter(x, draws) * inside
        if self.time_mask:
            x = x * ~random_interval(place, self.time_mask, draws)
        if self.noise:
            x = self._add_noise(x, length, draws)
        if self.gain:
            x = x * decibels(draws.symmetric(self.gain))[:, None]
        return x.masked_fill(~inside, torch.nan)

    def _resample(self, x: Tensor, lengths: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Crop, shift and change the speed of clips (B, T) by one interpolation; return them and their lengths (B,)."""
        rate = 1 + draws.symmetric(self.speed)
        length = (draws.uniform(*self.crop) * lengths / rate).floor().clamp(1, self.length_)
        start = draws.uniform(0, (lengths - length * rate).clamp(min=0)).floor()
        turn = (draws.symmetric(self.shift) * length).floor()
        step = torch.arange(self.length_, device=x.device) + turn[:, None]
        places = start[:, None] + step.remainder(length[:, None]) * rate[:, None]
        return interpolate(x, places), length

    def _filter(self, x: Tensor, draws: Draws) -> Tensor:
        """Add reverberation and silence a band, both as filters in one pass through the spectrum."""
        n_echo = round(self.reverb_seconds[1] * self.sampling_rate) if self.reverb else 1
        n = power_of_two(x.shape[1] + n_echo - 1)
        response = torch.ones(1, device=x.device)
        if self.reverb:
            wet = torch.where(draws.bernoulli(self.reverb), draws.uniform(0, 1), 0.0)
            decay = draws.uniform(*self.reverb_seconds) * self.sampling_rate
            response = torch.fft.rfft(impulse_response(decay, wet, n_echo, draws.generator), n)
        if self.frequency_mask:
            frequencies = torch.fft.rfftfreq(n, 1 / self.sampling_rate, device=x.device)
            response = response * ~random_interval(mel(frequencies) / mel(frequencies[-1]), self.frequency_mask, draws)
        return torch.fft.irfft(torch.fft.rfft(x, n) * response, n)[:, : x.shape[1]]

    def _add_noise(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        noise = colored_noise(draws.uniform(0, 1), x.shape[1], draws.generator)
        level = (x.square().sum(1) / length).sqrt() / decibels(draws.uniform(*self.snr))
        return x + torch.where(draws.bernoulli(self.noise), level, 0.0)[:, None] * noise

    def _check(self) -> None:
        check_n_views(self.n_views, least=2)
        check_number("sampling_rate", self.sampling_rate, 1)
        check_number("gain", self.gain, 0)
        for name, most in _LARGEST.items():
            check_number(name, getattr(self, name), 0, most)
        if self.view_seconds != "auto":
            check_number("view_seconds", self.view_seconds, 1 / self.sampling_rate)
        check_pair("crop", self.crop, 1)
        check_pair("reverb_seconds", self.reverb_seconds)
        if not (isinstance(self.snr, Sequence) and len(self.snr) == 2 and self.snr[0] <= self.snr[1]):
            raise ValueError(f"snr={self.snr!r}: use (lowest, highest) in decibels")


def interpolate(x: Tensor, places: Tensor) -> Tensor:
    """Interpolate waves (B, T) linearly at positions (B, N) between 0 and T - 1."""
    before = places.floor()
    first = before.long().clamp(max=x.shape[1] - 1)
    second = (first + 1).clamp(max=x.shape[1] - 1)
    return torch.lerp(x.gather(1, first), x.gather(1, second), places - before)


def random_interval(place: Tensor, longest: float, draws: Draws) -> Tensor:
    """Draw an interval of [0, 1], of length 0 to `longest`, and return which positions lie in it.

    Parameters
    ----------
    place : (N,) or (B, N), from 0 to 1.
    longest : maximum length.
    draws : one interval per sample.

    Returns
    -------
    (B, N) bool.
    """
    length = draws.uniform(0, longest)
    start = draws.uniform(0, 1 - length)
    return (place >= start[:, None]) & (place < (start + length)[:, None])


def impulse_response(decay: Tensor, wet: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return impulse responses of unit energy: an impulse, then exponentially decaying noise.

    Parameters
    ----------
    decay : (B,) number of samples in which the noise decays by 60 dB.
    wet : (B,) energy of the noise relative to the impulse.
    n : length of the responses.
    generator : source of the noise.

    Returns
    -------
    (B, n).
    """
    echo = randn((len(decay), n - 1), generator)
    echo = echo * decibels(-60 * torch.arange(1, n, device=decay.device) / decay[:, None])
    echo = echo * (wet.sqrt() / echo.square().sum(1).sqrt())[:, None]
    return torch.cat([torch.ones_like(wet)[:, None], echo], 1) / (1 + wet).sqrt()[:, None]


def colored_noise(exponent: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return noise whose power falls with frequency as f^-exponent: 0 is white, 1 pink.

    Parameters
    ----------
    exponent : (B,).
    n : length of the noise.
    generator : source of all randomness.

    Returns
    -------
    (B, n) of mean square 1.
    """
    n_fft = power_of_two(n)
    frequency = torch.arange(1, n_fft // 2 + 1, device=exponent.device)
    spectrum = randn((len(exponent), len(frequency), 2), generator)
    spectrum = spectrum * (-exponent[:, None] / 2 * frequency.log()).exp()[..., None]
    # No power at frequency 0.
    noise = torch.fft.irfft(F.pad(torch.view_as_complex(spectrum), (1, 0)), n_fft)[:, :n]
    return noise / noise.square().mean(1, keepdim=True).sqrt()


def decibels(level: Tensor) -> Tensor:
    """Return the amplitude factor for a level in decibels."""
    return (level * (math.log(10) / 20)).exp()


def power_of_two(n: int) -> int:
    """Return the smallest power of two that is at least n, a length for which the FFT is fast."""
    return 1 << (n - 1).bit_length()
