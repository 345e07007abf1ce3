"""The order of rows in an epoch: every row once, and rows of a block close together, to read it at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

# Number of values of all blocks that are in memory at once, 256 MiB of float32.
_OPEN_VALUES = 2**26
_FEWEST_LANES, _MOST_LANES = 4, 32


def n_lanes(edges: np.ndarray, values_per_row: int) -> int:
    """Return the number of blocks from which a batch is drawn: 32, or fewer if blocks are large, at least 4.

    Parameters
    ----------
    edges : (n_blocks + 1,), boundaries of the blocks.
    values_per_row : number of values in a sample.
    """
    largest = max(1, int(np.diff(edges).max(initial=1)) * values_per_row)
    return min(len(edges) - 1, max(_FEWEST_LANES, min(_MOST_LANES, _OPEN_VALUES // largest)))


def shuffled_by_block(edges: np.ndarray, batch_size: int, n_lanes: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffle blocks and rows within them, and divide them into lanes; a batch takes a few rows of each lane.

    For a single block, such as data in memory, this is an ordinary shuffle.

    Parameters
    ----------
    edges : (n_blocks + 1,) increasing row numbers from 0, boundaries of the blocks.
    batch_size : number of rows in a batch.
    n_lanes : number of lanes; the first rows of a batch come from the first lane.
    rng : source of all randomness.

    Returns
    -------
    (n_batches · batch_size,) distinct row numbers in the order of batches; fewer than batch_size rows are left out.
    """
    blocks = rng.permutation(len(edges) - 1)
    rows = np.concatenate([rng.permutation(np.arange(edges[b], edges[b + 1])) for b in blocks])
    n_batches = len(rows) // batch_size
    cuts = (np.arange(n_lanes + 1) * batch_size // n_lanes).tolist()
    # A lane is a contiguous part of the shuffled blocks.
    lanes = [rows[n_batches * a : n_batches * b].reshape(n_batches, b - a) for a, b in pairwise(cuts)]
    return np.concatenate(lanes, axis=1).ravel()
