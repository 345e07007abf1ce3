"""Positions as sines and cosines."""

import torch
from torch import Tensor


def sinusoids(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return the sines and cosines of positions (n,), each (n, width / 2), at wavelengths from 2π to 20,000π.

    References
    ----------
    Vaswani et al. 2017, sec. 3.5. Differs: none; how the two are arranged is left to the caller.
    """
    rates = 10_000 ** (-torch.arange(0, width, 2, device=positions.device) / width)
    angles = positions[:, None] * rates
    return angles.sin(), angles.cos()
