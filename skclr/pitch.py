"""The mel scale, on which equal distances sound equal."""

import math
from typing import TypeVar

import torch
from torch import Tensor

Pitch = TypeVar("Pitch", float, Tensor)


def mel(frequency: Pitch) -> Pitch:
    """Convert hertz to mel.

    References
    ----------
    O'Shaughnessy 1987, as HTK writes it: 2595 log10(1 + f / 700). Differs: none.
    """
    if isinstance(frequency, Tensor):
        return 2595 * torch.log10(1 + frequency / 700)
    return 2595 * math.log10(1 + frequency / 700)


def hertz(mel: Pitch) -> Pitch:
    """Convert mel to hertz."""
    return 700 * (10 ** (mel / 2595) - 1)
