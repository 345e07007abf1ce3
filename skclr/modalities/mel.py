"""Log-mel spectrograms of waves."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skclr.pitch import hertz, mel
from skclr.precision import without_autocast

# 100 dB below a full-scale sine, about the resolution of 16 bits: clips below it are silence, and are not amplified.
_SILENCE = 1e-10


class LogMel(nn.Module):
    """Compute the logarithm of a wave's energy in bands of equal width on the mel scale, standardised by band.

    Parameters
    ----------
    sampling_rate : samples per second.
    n_mels : number of bands.
    window, hop : length of a frame, and distance between the starts of two frames, in seconds.
    min_frequency, max_frequency : range of the bands, in hertz.
    dynamic_range : range of levels that are distinguished, in decibels below the reference.
    normalize_level : whether the reference is the loudest band and frame of the clip, or full scale.
    mean, deviation : (n_mels,) statistics of each band's logarithm, or one number for all.

    Notes
    -----
    A frame exists if it ends before the clip does; a clip shorter than a frame has one, padded with silence. A
    full-scale sine has an energy of 1 in its bin, at any sampling rate.
    """

    taper: Tensor
    filters: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        sampling_rate: float,
        n_mels: int,
        window: float,
        hop: float,
        min_frequency: float,
        max_frequency: float,
        dynamic_range: float = 60.0,
        normalize_level: bool = True,
        mean: Tensor | float = 0.0,
        deviation: Tensor | float = 1.0,
    ) -> None:
        super().__init__()
        self.window = max(1, round(window * sampling_rate))
        self.hop = max(1, round(hop * sampling_rate))
        self.floor = 10 ** (-dynamic_range / 10)
        self.normalize_level = normalize_level
        edges = mel_edges(n_mels, min_frequency, max_frequency)
        # Bins are closer than the first and narrowest band is wide, so no band falls between two bins.
        low, high = mel(min_frequency), mel(max_frequency)
        narrowest = hertz(low + 2 * (high - low) / (n_mels + 1)) - min_frequency
        self.n_fft = 2 ** math.ceil(math.log2(max(self.window, 1.001 * sampling_rate / narrowest)))
        taper = torch.hann_window(self.window)
        self.register_buffer("taper", 2 * taper / taper.sum())
        self.register_buffer("filters", mel_filters(edges, self.n_fft, sampling_rate))
        self.register_buffer("mean", torch.as_tensor(mean).view(-1, 1))
        self.register_buffer("deviation", torch.as_tensor(deviation).view(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return spectrograms (B, 1, n_mels, frames) of waves (B, T); NaN follows a clip's end in both."""
        missing = x.isnan()
        # Half precision has too few digits for a spectrum, and too small a range for its energies.
        with without_autocast(x.device):
            energy = self.filters @ self._energy(x.float().masked_fill(missing, 0.0))  # (B, n_mels, frames)
            ends = self.window + self.hop * torch.arange(energy.shape[2], device=x.device)
            exists = ends <= (~missing).sum(1, keepdim=True).clamp(min=self.window)
            energy = energy.masked_fill(~exists[:, None], torch.nan)
            if self.normalize_level:
                energy = energy / energy.nan_to_num(0.0).amax((1, 2), keepdim=True).clamp(min=_SILENCE)
            return (((energy + self.floor).log() - self.mean) / self.deviation)[:, None]

    def _energy(self, x: Tensor) -> Tensor:
        # torch centres the window in the segment that it transforms.
        before = (self.n_fft - self.window) // 2
        after = self.n_fft - self.window - before
        x = F.pad(x, (before, after + max(0, self.window - x.shape[1])))
        spectrum = torch.stft(
            x, self.n_fft, self.hop, self.window, self.taper, center=False, return_complex=True
        )  # (B, n_fft // 2 + 1, frames)
        return spectrum.real.square() + spectrum.imag.square()


def mel_edges(n_mels: int, min_frequency: float, max_frequency: float) -> Tensor:
    """Return n_mels + 2 frequencies, equidistant on the mel scale; band i spans frequencies i to i + 2."""
    return hertz(torch.linspace(mel(min_frequency), mel(max_frequency), n_mels + 2, dtype=torch.float64))


def mel_filters(edges: Tensor, n_fft: int, sampling_rate: float) -> Tensor:
    """Return triangular filters over the bins of a spectrum, each of sum 1: a band's energy is a weighted mean.

    Parameters
    ----------
    edges : (n_mels + 2,) float64, as `mel_edges` returns them.
    n_fft : samples per spectrum.
    sampling_rate : samples per second.

    Returns
    -------
    (n_mels, n_fft // 2 + 1) float32.
    """
    frequencies = torch.arange(n_fft // 2 + 1) * sampling_rate / n_fft
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles / triangles.sum(1, keepdim=True)).float()


def time_bins(x: Tensor, n_bins: int) -> Tensor:
    """Average over equal parts of each sample's existing steps.

    Parameters
    ----------
    x : (B, d, T), NaN after a sample's end.
    n_bins : number of parts; a step that overlaps two contributes its share to each.

    Returns
    -------
    (B, d, n_bins).
    """
    missing = x.isnan()
    lengths = (~missing[:, 0]).sum(1, dtype=x.dtype)[:, None, None]
    step = torch.arange(x.shape[2], device=x.device)[:, None]
    edges = torch.arange(n_bins + 1, device=x.device) * lengths / n_bins
    shares = (torch.minimum(step + 1, edges[..., 1:]) - torch.maximum(step, edges[..., :-1])).clamp(min=0)
    return x.masked_fill(missing, 0.0) @ shares * n_bins / lengths
