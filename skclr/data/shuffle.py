"""The order of an epoch: every row once, and rows of one block near each other, so that it is read in one piece."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

# Values that lie ready in all blocks that are open at once, as 256 MiB of float32.
_OPEN_VALUES = 2**26
_FEWEST_LANES, _MOST_LANES = 4, 32


def n_lanes(edges: np.ndarray, values_per_row: int) -> int:
    """Return the number of blocks that a batch is mixed from: 32, or fewer if blocks are large, but at least 4.

    Parameters
    ----------
    edges : (n_blocks + 1,), where blocks begin and end.
    values_per_row : numbers in a sample.
    """
    largest = max(1, int(np.diff(edges).max(initial=1)) * values_per_row)
    return min(len(edges) - 1, max(_FEWEST_LANES, min(_MOST_LANES, _OPEN_VALUES // largest)))


def shuffled_by_block(edges: np.ndarray, batch_size: int, n_lanes: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffle blocks, and rows within them, and deal them out to lanes; a batch takes a few rows from each lane.

    Of one block, as data in memory are, this is a plain shuffle.

    Parameters
    ----------
    edges : (n_blocks + 1,) growing row numbers from 0, where blocks begin and end.
    batch_size : rows a batch.
    n_lanes : from so many blocks a batch draws; the first rows of a batch come from the first.
    rng : source of all randomness.

    Returns
    -------
    (n_batches · batch_size,) different row numbers, batch after batch; less than a batch is left out.
    """
    blocks = rng.permutation(len(edges) - 1)
    rows = np.concatenate([rng.permutation(np.arange(edges[b], edges[b + 1])) for b in blocks])
    n_batches = len(rows) // batch_size
    cuts = (np.arange(n_lanes + 1) * batch_size // n_lanes).tolist()
    # A lane is a stretch of the shuffled blocks.
    lanes = [rows[n_batches * a : n_batches * b].reshape(n_batches, b - a) for a, b in pairwise(cuts)]
    return np.concatenate(lanes, axis=1).ravel()
