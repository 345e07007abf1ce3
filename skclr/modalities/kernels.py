"""Random convolution kernels, as in MiniRocket: the plain features of series."""

from __future__ import annotations

from itertools import combinations
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skclr.files.plain import Plain, check_learned_array
from skclr.modalities.principal import equal_columns, principal_components, scaled_to

KERNEL_LENGTH, N_KERNELS = 9, 84
_MAX_DILATIONS = 32
_GOLDEN_RATIO = (5**0.5 + 1) / 2
_SEED = 0
# Shares that vary less among the training series vary by rounding errors only.
_SMALLEST_DEVIATION = 1e-6
# Variance of a column. With less, the usual penalties of linear models are too strong for this many columns.
_VARIANCE = 16.0
# Slope of the step at a bias, for channels of unit variance.
_STEEPNESS = 1e3
# Number of steps that are convolved at once, over all series.
_CHUNK_STEPS = 2**14
# Number of steps that one operator of an exported graph compares with biases, over all biases.
_GRAPH_STEPS = 2**8


def all_kernels() -> Tensor:
    """Return the (84, 9) kernels: all placements of three weights of 2 among weights of -1, which sum to zero."""
    weights = torch.full((N_KERNELS, KERNEL_LENGTH), -1.0)
    for kernel, places in enumerate(combinations(range(KERNEL_LENGTH), 3)):
        weights[kernel, list(places)] = 2.0
    return weights


KERNELS = all_kernels()


class RandomKernels(Plain):
    """Compute the shares of the outputs of 84 fixed dilated kernels above biases, compressed to fewer columns.

    Shares are transformed by arcsin(sqrt(share)), which stabilises their variances, and standardised. Their principal
    components are rotated to columns of equal variance: a StandardScaler after it changes nothing, and does not amplify
    noise if there are few training series.

    Parameters
    ----------
    n_biases : number of shares per kernel, spread over the dilations.
    n_features : number of columns.

    Notes
    -----
    NaN within a series is replaced by the value before it. NaN in all channels up to the last step marks the end of a
    shorter series; only the steps before it count. Steps outside a series are 0, so channels should be centred.

    References
    ----------
    Dempster, Schmidt and Webb 2021 (MiniRocket). Differs: the shares are compressed, and series may have unequal
    lengths.
    """

    dilations_: tuple[int, ...]
    n_biases_: tuple[int, ...]
    channels_: Tensor
    biases_: Tensor
    mean_: Tensor
    axes_: Tensor

    def __init__(self, n_biases: int = 119, n_features: int = 512) -> None:
        self.n_biases = n_biases
        self.n_features = n_features

    def fit(self, x: Tensor) -> Self:
        """Draw the channels of each kernel and its biases, from quantiles of its outputs, and learn the components.

        Parameters
        ----------
        x : (n, C, T) training series.
        """
        generator = torch.Generator().manual_seed(_SEED)
        _, n_channels, n_steps = x.shape
        spread_biases = spread_over_dilations(n_steps, self.n_biases)
        self.dilations_, self.n_biases_ = tuple(spread_biases), tuple(spread_biases.values())
        self.channels_ = torch.stack([draw_channels(n_channels, generator) for _ in self.dilations_])
        # A low-discrepancy sequence: the biases of any few kernels cover all quantiles evenly.
        quantiles = torch.arange(1, N_KERNELS * self.n_biases + 1, dtype=torch.float64) * _GOLDEN_RATIO % 1
        parts = torch.split(quantiles.view(self.n_biases, N_KERNELS).T, [*self.n_biases_], 1)
        examples = (x[torch.randint(len(x), (N_KERNELS,), generator=generator)] for _ in self.dilations_)
        biases = [self._biases(i, some, part) for i, (some, part) in enumerate(zip(examples, parts, strict=True))]
        self.biases_ = torch.cat(biases, 1)
        shares = torch.cat([self.shares(some) for some in torch.split(x, max(1, _CHUNK_STEPS // n_steps))])
        deviation = shares.std(0, correction=0)
        deviation = torch.where(deviation < _SMALLEST_DEVIATION, torch.inf, deviation)
        _, axes, variances = principal_components(shares / deviation, self.n_features)
        self.mean_ = shares.mean(0)
        self.axes_ = scaled_to(axes, variances, _VARIANCE * self.n_features) / deviation[:, None]
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """Return the (B, n_features) features of series (B, C, T)."""
        return equal_columns(self.shares(x) - self.mean_.to(x.device), self.axes_, self.n_features)

    def shares(self, x: Tensor) -> Tensor:
        """Return the (B, 84 * n_biases) shares of series (B, C, T), after arcsin(sqrt(share))."""
        lengths = lengths_of(x)
        x = fill_gaps(x, lengths)
        biases = torch.split(self.biases_.to(x.device), [*self.n_biases_], 1)
        shares = torch.cat([self._shares_of(i, x, lengths, bias) for i, bias in enumerate(biases)], 1)
        return shares.sqrt().arcsin()

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        n, n_channels = len(self.dilations_), self.channels_.shape[-1]
        if not 0 < n == len(self.n_biases_) or min(*self.dilations_, *self.n_biases_) < 1:
            raise ValueError(f"dilations {self.dilations_} do not match numbers of biases {self.n_biases_}")
        if sum(self.n_biases_) != self.n_biases:
            raise ValueError(f"each kernel has {sum(self.n_biases_)} biases instead of {self.n_biases}")
        check_learned_array("channels_", self.channels_, (n, N_KERNELS, n_channels), torch.float32)
        check_learned_array("biases_", self.biases_, (N_KERNELS, self.n_biases), torch.float32)
        check_learned_array("mean_", self.mean_, (N_KERNELS * self.n_biases,), torch.float32)
        n_components = min(self.axes_.shape[-1], self.n_features)
        check_learned_array("axes_", self.axes_, (N_KERNELS * self.n_biases, n_components), torch.float32)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError if the kernels are for another number of channels than (C, T), or longer than T."""
        if self.channels_.shape[-1] != shape[0] or max(self.dilations_) * (KERNEL_LENGTH - 1) >= max(
            shape[1], KERNEL_LENGTH
        ):
            raise ValueError(f"kernels of dilations {self.dilations_} are not for series of shape {shape}")

    def _outputs(self, i: int, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs (B, 84, T) at the i-th dilation, -inf if they do not count, and how many do (B, 84)."""
        dilation, padding = self.dilations_[i], self.dilations_[i] * (KERNEL_LENGTH // 2)
        weights = self.channels_[i].to(x.device)[:, :, None] * KERNELS.to(x.device)[:, None]
        outputs = F.conv1d(x, weights, dilation=dilation, padding=padding)
        counted = counted_steps(lengths, x.shape[2], padding).roll(i % 2, 1)
        # Every other kernel counts all steps; at the next dilation, the remaining kernels do.
        left_out = torch.where(counted, 0.0, -torch.inf)[:, None]
        outputs = (outputs.view(-1, N_KERNELS // 2, 2, x.shape[2]) + left_out).flatten(1, 2)
        return outputs, counted.sum(2).repeat(1, N_KERNELS // 2)

    def _biases(self, i: int, examples: Tensor, quantiles: Tensor) -> Tensor:
        """Return the biases (84, m): the quantiles[k] of the output of kernel k on example k."""
        lengths, own = lengths_of(examples), torch.arange(N_KERNELS)
        outputs, n_counted = self._outputs(i, fill_gaps(examples, lengths), lengths)
        ranked = outputs[own, own].sort(1).values
        places = ranked.shape[1] - 1 - (1 - quantiles) * (n_counted[own, own, None].clamp(min=1) - 1)
        below = places.floor().long()
        low, high = ranked.gather(1, below), ranked.gather(1, places.ceil().long())
        # Interpolated between two outputs: if an output equalled the bias, rounding would decide whether it counts.
        return torch.lerp(low, high, (places - below).float())

    def _shares_of(self, i: int, x: Tensor, lengths: Tensor, biases: Tensor) -> Tensor:
        """Return the shares (B, 84 * m) of the outputs at the i-th dilation above the biases (84, m)."""
        outputs, n_counted = self._outputs(i, x, lengths)
        # With a hard step, rounding would decide for outputs equal to a bias; sums of booleans are slower, too.
        outputs = outputs[:, None] * _STEEPNESS
        n_steps = outputs.shape[3]
        # The outputs at one bias stay in the cache; a graph has fewer operators with several at once.
        at_once = max(1, _GRAPH_STEPS // n_steps) if torch.compiler.is_exporting() else 1
        parts = torch.split(_STEEPNESS * biases.T[..., None], at_once)
        signs = torch.cat([F.hardtanh(outputs - part).sum(3) for part in parts], 1)
        shares = (signs + n_steps) / 2 / n_counted.clamp(min=1)[:, None]
        return shares.clamp(0.0, 1.0).flatten(1)


def spread_over_dilations(n_steps: int, n_biases: int) -> dict[int, int]:
    """Spread the biases of a kernel over dilations 2^0, ..., 2^e, where the largest spans the series.

    Returns
    -------
    Number of biases by dilation; they sum to `n_biases`.
    """
    largest = np.log2(max(1.0, (n_steps - 1) / (KERNEL_LENGTH - 1)))
    dilations, counts = np.unique(
        (2 ** np.linspace(0.0, largest, min(n_biases, _MAX_DILATIONS))).astype(int), return_counts=True
    )
    # Rounded cumulatively, so that the numbers sum to n_biases.
    ends = np.round(np.cumsum(counts) * n_biases / counts.sum()).astype(int)
    each = zip(dilations, np.diff(ends, prepend=0), strict=True)
    return {int(dilation): int(n) for dilation, n in each if n}


def draw_channels(n_channels: int, generator: torch.Generator) -> Tensor:
    """Return which channels each kernel sums, as 0 or 1, (84, C): few channels are more probable than many."""
    largest = np.log2(min(n_channels, KERNEL_LENGTH) + 1)
    sizes = (2 ** (torch.rand(N_KERNELS, generator=generator) * largest)).long().clamp(1, n_channels)
    ranks = torch.rand(N_KERNELS, n_channels, generator=generator).argsort(1).argsort(1)
    return (ranks < sizes[:, None]).float()


def lengths_of(x: Tensor) -> Tensor:
    """Return the lengths (B,) of series (B, C, T): steps up to the last that has a value in some channel."""
    steps = torch.arange(1, x.shape[2] + 1, device=x.device)
    return (~x.isnan().all(1) * steps).amax(1)


def fill_gaps(x: Tensor, lengths: Tensor) -> Tensor:
    """Replace NaN in (B, C, T) by the value before it, and by 0 at the start and after the end of the series."""
    n_steps, reach = x.shape[2], 1
    while reach < n_steps:
        # Each pass reaches twice as far back; ONNX has no cumulative maximum.
        x = torch.where(x.isnan(), F.pad(x, (reach, 0), value=torch.nan)[:, :, :n_steps], x)
        reach *= 2
    steps = torch.arange(n_steps, device=x.device)
    return torch.where(steps < lengths[:, None, None], x.nan_to_num(nan=0.0), 0.0)


def counted_steps(lengths: Tensor, n_steps: int, margin: int) -> Tensor:
    """Return which outputs count, (B, 2, T): those of all steps of a series, and those that need no padding.

    If a series is too short for any output without padding, both are all steps.

    Parameters
    ----------
    lengths : (B,) of the series.
    margin : steps at either end whose outputs need padding.
    """
    steps = torch.arange(n_steps, device=lengths.device)
    margins = torch.where(lengths > 2 * margin, margin, 0)
    margins = torch.stack([torch.zeros_like(margins), margins], 1)[..., None]
    return (steps >= margins) & (steps < lengths[:, None, None] - margins)
