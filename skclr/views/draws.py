"""Random draws of view makers: one or more numbers for each sample of a batch."""

import torch
from torch import Tensor

from skclr.randomness import rand, randn


class Draws:
    """Independent draws for the n samples of a batch, from one generator."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n = n
        self.generator = generator

    def uniform(self, low: float | Tensor, high: float | Tensor, *shape: int) -> Tensor:
        """Draw (n, *shape) from [low, high)."""
        return low + (high - low) * rand((self.n, *shape), self.generator)

    def symmetric(self, spread: float | Tensor) -> Tensor:
        """Draw (n,) from [-spread, spread)."""
        return self.uniform(-spread, spread)

    def bernoulli(self, probability: float) -> Tensor:
        """Draw (n,) bool, True with the given probability."""
        return self.uniform(0, 1) < probability

    def order(self, n_items: int) -> Tensor:
        """Draw (n, n_items), a random permutation of 0 to n_items - 1 in each row."""
        return self.uniform(0, 1, n_items).argsort(1)

    def curves(self, largest: float, n_channels: int, n_knots: int) -> Tensor:
        """Draw normal (n, n_channels, n_knots); the standard deviation of each sample is drawn from 0 to `largest`."""
        normal = randn((self.n, n_channels, n_knots), self.generator)
        return self.uniform(0, largest)[:, None, None] * normal
