"""Randomness by counting: what is drawn depends on a seed and a counter, never on what was drawn before."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from skclr.parts.ranks import gather, n_ranks, share

# torch's global generator is one for all threads.
_GLOBAL_GENERATOR = threading.RLock()


def derive_seeds(n_seeds: int, *numbers: int) -> list[int]:
    """Mix numbers of 0 or more into seeds of 32 bits."""
    seeds: list[int] = np.random.SeedSequence(numbers).generate_state(n_seeds).tolist()
    return seeds


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator for code that draws from nothing else, and put it back after.

    One thread at a time: weight initialisation, dropout and views that are not ours draw from it.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


# -- draws for the rows of a batch ----------------------------------------------------------------
# Every rank draws for the whole batch and takes its share, so that it sees what one process alone would have drawn.


def rand(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw (B, ...) from [0, 1), on the generator's device."""
    return _draw(torch.rand, shape, generator)


def randn(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw normal (B, ...)."""
    return _draw(torch.randn, shape, generator)


def randint(n: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw whole numbers (B, ...) from 0 to n - 1."""
    return _draw(partial(torch.randint, n), shape, generator)


def shuffled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Give each of the rows (B, ...) another's place in the batch."""
    order = torch.randperm(n_ranks() * len(x), generator=generator, device=x.device)
    return gather(x)[share(order)]


def _draw(draw: Callable[..., Tensor], shape: Sequence[int], generator: torch.Generator) -> Tensor:
    n_rows, *rest = shape
    return share(draw((n_ranks() * n_rows, *rest), generator=generator, device=generator.device))
