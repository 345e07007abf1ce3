"""Plain features of series: random convolution kernels, as in MiniRocket."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

KERNEL_LENGTH, N_KERNELS = 9, 84
MAX_DILATIONS = 32
GOLDEN_RATIO = (5**0.5 + 1) / 2
# Rows times steps convolved at once: 84 outputs of each stay within the processor's cache.
CHUNK_STEPS = 8192


def kernel_weights() -> Tensor:
    """Return the (84, 9) kernels: all ways to place three weights of 2 among -1, so that each sums to zero."""
    weights = torch.full((N_KERNELS, KERNEL_LENGTH), -1.0)
    for kernel, places in enumerate(combinations(range(KERNEL_LENGTH), 3)):
        weights[kernel, list(places)] = 2.0
    return weights


def dilations_for(length: int, n_biases: int) -> dict[int, int]:
    """Spread `n_biases` features of a kernel over dilations 2^0, …, 2^e, the largest spanning the series.

    Returns
    -------
    dict from dilation to its number of biases; the numbers sum to `n_biases`.
    """
    largest = np.log2(max(1.0, (length - 1) / (KERNEL_LENGTH - 1)))
    exponents = np.linspace(0.0, largest, min(n_biases, MAX_DILATIONS))
    dilations, counts = np.unique((2**exponents).astype(int), return_counts=True)
    # Shares of n_biases are rounded cumulatively, so that they always sum to it.
    ends = np.round(np.cumsum(counts) * n_biases / counts.sum()).astype(int)
    return {int(d): int(n) for d, n in zip(dilations, np.diff(ends, prepend=0), strict=True) if n}


def lengths_of(X: Tensor) -> Tensor:
    """Return the (n,) lengths of series (n, channels, time), without trailing steps that are NaN in all channels."""
    present = ~X.isnan().all(1)
    steps = torch.arange(1, X.shape[2] + 1, device=X.device)
    return (present * steps).amax(1)


def filled(X: Tensor, lengths: Tensor) -> Tensor:
    """Replace NaN in (n, channels, time) by the value before; 0 at the start and after the end of a series."""
    steps = torch.arange(X.shape[2], device=X.device)
    last = torch.where(X.isnan(), 0, steps).cummax(2).values
    return X.gather(2, last).nan_to_num(nan=0.0) * (steps < lengths[:, None, None])


def valid_steps(lengths: Tensor, n_steps: int, dilation: int, unpadded: Tensor) -> Tensor:
    """Return the outputs that count, (n, 84, time): every step of a series, or only those that need no padding.

    `unpadded` is (84,), 1 for kernels that count only outputs without padding. If a series is too short for any such
    output, every step counts.
    """
    steps, margin = torch.arange(n_steps, device=lengths.device), dilation * (KERNEL_LENGTH // 2)
    margins = torch.stack([torch.zeros_like(lengths), torch.where(lengths > 2 * margin, margin, 0)], 1)[..., None]
    valid = (steps >= margins) & (steps < lengths[:, None, None] - margins)
    return valid[:, unpadded]


class RandomKernels:
    """Share of outputs above a bias, for 84 fixed kernels at several dilations.

    Series are (n, channels, time), float. NaN within a series takes the value before it; NaN in all channels up to
    the last step is the end of a shorter series, and only steps before it count. Steps outside a series are 0, so
    channels should be centred.

    Parameters
    ----------
    n_features : number of features, rounded down to a multiple of 84.
    random_state : seed of the examples that biases come from, and of the channels that a kernel sees.

    References
    ----------
    Dempster, Schmidt and Webb 2021, MiniRocket. Differs: biases are order statistics, not interpolated quantiles;
    series of unequal lengths are taken.
    """

    def __init__(self, n_features: int = 9_996, random_state: int = 0) -> None:
        self.n_features = n_features
        self.random_state = random_state

    def fit(self, X: Tensor) -> Self:
        """Draw the channels, and the biases from quantiles of the outputs on training series."""
        generator = torch.Generator().manual_seed(self.random_state)
        _, n_channels, n_steps = X.shape
        n_biases = max(1, self.n_features // N_KERNELS)
        # A low-discrepancy sequence: the biases of any few kernels cover all quantiles evenly.
        quantiles = torch.arange(1, N_KERNELS * n_biases + 1, dtype=torch.float64) * GOLDEN_RATIO % 1
        counts = dilations_for(n_steps, n_biases)
        parts = quantiles.view(n_biases, N_KERNELS).T.split(list(counts.values()), 1)
        self.scales_ = []
        for number, (dilation, part) in enumerate(zip(counts, parts, strict=True)):
            seen = channels_seen(n_channels, generator)[:, :, None] * kernel_weights()[:, None]
            scale = Scale(dilation, seen.to(X.device), (torch.arange(N_KERNELS) + number) % 2)
            examples = X[torch.randint(len(X), (N_KERNELS,), generator=generator)]
            self.scales_.append(scale.biased(examples, part.to(X.device)))
        return self

    def transform(self, X: Tensor) -> Tensor:
        """Return the (n, n_features) shares."""
        return torch.cat([self._shares(chunk) for chunk in X.split(max(1, CHUNK_STEPS // X.shape[2]))])

    def _shares(self, X: Tensor) -> Tensor:
        lengths = lengths_of(X)
        x = filled(X, lengths)
        return torch.cat([scale.shares(x, lengths) for scale in self.scales_], 1)


@dataclass
class Scale:
    """The 84 kernels at one dilation."""

    dilation: int
    weights: Tensor
    """(84, channels, 9)"""
    unpadded: Tensor
    """(84,) 1 for kernels that count only outputs without padding, else 0."""
    biases: Tensor | None = None
    """(84, m)"""

    def outputs(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n, 84, time) outputs and which of them count."""
        padding = self.dilation * (KERNEL_LENGTH // 2)
        convolved = F.conv1d(x, self.weights, dilation=self.dilation, padding=padding)
        return convolved, valid_steps(lengths, x.shape[2], self.dilation, self.unpadded)

    def biased(self, examples: Tensor, quantiles: Tensor) -> "Scale":
        """Return this scale with biases: of kernel i the order statistics of example i at quantiles[i], (84, m)."""
        lengths = lengths_of(examples)
        outputs, valid = self.outputs(filled(examples, lengths), lengths)
        own = torch.arange(N_KERNELS)
        outputs, valid = outputs[own, own], valid[own, own]
        ranked = outputs.masked_fill(~valid, torch.inf).sort(1).values
        places = (quantiles * (valid.sum(1, keepdim=True) - 1)).round().long().clamp(min=0)
        return replace(self, biases=ranked.gather(1, places))

    def shares(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return the (n, 84 * m) shares of outputs above each bias."""
        assert self.biases is not None
        outputs, valid = self.outputs(x, lengths)
        outputs.masked_fill_(~valid, -torch.inf)
        counts, above = valid.sum(2).clamp(min=1), torch.empty_like(outputs)
        # Writing the comparison into floats is several times faster than summing booleans.
        shares = [torch.gt(outputs, bias[:, None], out=above).sum(2) / counts for bias in self.biases.T]
        return torch.cat(shares, 1)


def channels_seen(n_channels: int, generator: torch.Generator) -> Tensor:
    """Return the (84, channels) 0/1 choice of the channels that each kernel sums; small numbers are more likely."""
    largest = np.log2(min(n_channels, KERNEL_LENGTH) + 1)
    sizes = (2 ** (torch.rand(N_KERNELS, generator=generator) * largest)).long().clamp(1, n_channels)
    ranks = torch.rand(N_KERNELS, n_channels, generator=generator).argsort(1).argsort(1)
    return (ranks < sizes[:, None]).float()
