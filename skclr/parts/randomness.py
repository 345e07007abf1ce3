"""Randomness by counting: what is drawn depends on a seed and a counter, never on what was drawn before."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

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
