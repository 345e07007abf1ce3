import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skclr.data.shuffle import n_lanes, shuffled_by_block


def blocks_of(rows, edges):
    return np.searchsorted(edges, rows, side="right") - 1


def test_one_block_is_a_plain_shuffle():
    order = shuffled_by_block(np.array([0, 50]), 8, 1, np.random.default_rng(3))
    assert_array_equal(order, np.random.default_rng(3).permutation(50)[:48])


@pytest.mark.parametrize("edges", [[0, 10, 20, 30, 40, 50], [0, 1, 40, 41, 50], [0, 50]])
@pytest.mark.parametrize("batch_size", [1, 7, 25])
@pytest.mark.parametrize("lanes", [1, 3, 32])
def test_every_row_once(edges, batch_size, lanes):
    order = shuffled_by_block(np.array(edges), batch_size, lanes, np.random.default_rng(0))
    assert len(order) == 50 // batch_size * batch_size == len(set(order.tolist()))
    assert set(order.tolist()) <= set(range(50))


def test_a_batch_is_mixed_from_as_many_blocks_as_there_are_lanes():
    edges = np.arange(0, 129, 8)
    order = shuffled_by_block(edges, 8, 4, np.random.default_rng(0)).reshape(-1, 8)
    assert {len(set(blocks_of(batch, edges))) for batch in order} == {4}
    # Beside each other, with one lane, as if blocks were read one after the other.
    order = shuffled_by_block(edges, 8, 1, np.random.default_rng(0)).reshape(-1, 8)
    assert {len(set(blocks_of(batch, edges))) for batch in order} == {1}


def test_which_blocks_meet_differs_from_epoch_to_epoch():
    edges = np.arange(0, 129, 8)
    met = [set(blocks_of(shuffled_by_block(edges, 8, 4, np.random.default_rng(e))[:8], edges)) for e in range(4)]
    assert len(set(map(frozenset, met))) > 1


@pytest.mark.parametrize(
    ("n_blocks", "rows", "values", "lanes"),
    [(1, 10**9, 10, 1), (3, 10, 10, 3), (1000, 2**11, 2**10, 32), (1000, 2**20, 2**3, 8), (1000, 2**20, 2**10, 4)],
)
def test_lanes_are_as_many_as_memory_holds(n_blocks, rows, values, lanes):
    assert n_lanes(np.arange(n_blocks + 1) * rows, values) == lanes
