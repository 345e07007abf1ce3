from threading import Event

import numpy as np
import pytest
import torch

from skclr.data.samples import prefetched
from skclr.data.shuffle import shuffled_by_block
from skclr.data.stored import Stored
from skclr.ranks.collectives import World
from skclr.training import Batches, HoldOut, SampleTensors


@pytest.fixture
def samples():
    X = np.arange(22).reshape(11, 2).astype(np.float32)
    return SampleTensors(X, torch.from_numpy, torch.device("cpu"))


def test_resident_samples_are_the_same(samples):
    expected = samples[np.array([3, 1])]
    samples.to_device()
    assert samples.resident is not None
    assert torch.equal(samples[np.array([3, 1])], expected)
    assert torch.equal(samples.subset(np.array([1, 3]))[np.array([1, 0])], expected)


def rows_of(batches):
    return [rows.tolist() for _, rows, _ in batches]


def test_an_epoch_has_full_batches_of_different_rows(samples):
    batches = rows_of(Batches(samples, 4))
    assert [len(rows) for rows in batches] == [4, 4]
    assert len(set(sum(batches, []))) == 8


@pytest.mark.parametrize("resident", [False, True])
def test_batches_hold_the_rows_they_name(samples, resident):
    if resident:
        samples.to_device()
    chosen = samples.subset(np.arange(1, 11))
    assert (chosen.resident is not None) == resident
    # Rows are counted in the samples that are batched, as view makers know them.
    for x, rows, groups in Batches(chosen, 4):
        assert torch.equal(x, torch.from_numpy(samples.X[chosen.rows[rows]]))
        assert torch.equal(groups, torch.from_numpy(chosen.rows)[rows])


def test_the_next_item_is_made_meanwhile():
    made = [Event() for _ in range(4)]

    def make(number):
        made[number].set()
        return number

    items = prefetched(make, range(4))
    assert next(items) == 0
    assert made[1].wait(10)
    # And no further: what lies ready takes memory.
    assert not made[2].wait(0.1)
    assert list(items) == [1, 2, 3]


def test_what_goes_wrong_while_a_batch_is_read_is_raised_at_its_turn(samples):
    def to_tensor(rows):
        if 9 in rows:
            raise ValueError("row 9 cannot be read")
        return torch.from_numpy(rows)

    batches = iter(Batches(SampleTensors(np.arange(12), to_tensor, torch.device("cpu")), 4, shuffle=False))
    assert [next(batches)[1].tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(ValueError, match="row 9"):
        next(batches)


def test_shuffles_follow_from_seed_and_epoch_alone(samples):
    loader = Batches(samples, 4, seed=1)
    first, second = rows_of(loader), rows_of(loader)
    assert first != second
    assert rows_of(Batches(samples, 4, seed=1, epoch=1)) == second
    assert rows_of(Batches(samples, 4, seed=2)) != first


def test_every_row_has_its_turn(samples):
    loader = Batches(samples, 4)
    seen = {row for _ in range(20) for rows in rows_of(loader) for row in rows}
    assert seen == set(range(11))


@pytest.mark.parametrize(("n", "sizes"), [(11, [4, 4, 3]), (9, [4, 4]), (3, [3])])
def test_in_order_the_rest_is_kept_if_it_has_a_pair(samples, n, sizes):
    loader = Batches(samples.subset(np.arange(n)), 4, shuffle=False)
    batches = rows_of(loader)
    assert [len(rows) for rows in batches] == sizes
    assert len(loader) == len(sizes)
    assert sum(batches, []) == list(range(sum(sizes)))


def test_hold_out_splits_without_overlap(samples):
    train, valid = HoldOut(0.3, seed=0)(samples)
    assert len(valid) == 3
    assert sorted([*train.rows, *valid.rows]) == list(range(11))
    assert torch.equal(valid[np.arange(3)], torch.from_numpy(samples.X[valid.rows]))


def test_hold_out_that_leaves_nothing(samples):
    with pytest.raises(ValueError, match=r"validation_fraction=0.95 leaves 1 of 11 samples"):
        HoldOut(0.95, seed=0)(samples)


# -- data in blocks ---------------------------------------------------------------------------------


N_ROWS, BATCH_SIZE = 401, 48
# Number of blocks that a batch is drawn from, fewer than all.
LANES = 32


class InBlocks:
    """An array in blocks of 8 rows that remembers what was read of it, and how much at once."""

    def __init__(self, n_rows):
        self.values = np.arange(2.0 * n_rows, dtype=np.float32).reshape(n_rows, 2)
        self.edges = np.append(np.arange(0, n_rows, 8), n_rows)
        self.reads = []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.reads.append(rows.tolist())
        return self.values[rows]


@pytest.fixture
def in_blocks():
    source = InBlocks(N_ROWS)
    samples = SampleTensors(Stored(source), torch.from_numpy, torch.device("cpu"))
    source.reads.clear()
    return source, samples


def test_blocks_are_read_once_and_as_a_whole(in_blocks):
    source, samples = in_blocks
    seen = sum(rows_of(Batches(samples, BATCH_SIZE)), [])
    assert len(set(seen)) == len(seen) == N_ROWS // BATCH_SIZE * BATCH_SIZE
    blocks = [list(range(start, min(start + 8, N_ROWS))) for start in range(0, N_ROWS, 8)]
    assert all(read in blocks for read in source.reads)
    # A lane may begin in the block in which another ends.
    assert len(source.reads) <= len(blocks) + LANES - 1
    # The incomplete last batch leaves out the rows of two blocks at most.
    assert len({read[0] for read in source.reads}) >= len(blocks) - 2


def test_no_more_blocks_lie_ready_than_a_batch_needs(in_blocks):
    _, samples = in_blocks
    reader, edges = samples.in_blocks(), samples.edges
    order = shuffled_by_block(edges, BATCH_SIZE, LANES, np.random.default_rng(0)).reshape(-1, BATCH_SIZE)
    for rows in order:
        assert torch.equal(reader[rows], torch.from_numpy(samples.X.source.values[rows]))
        assert set(reader.X.blocks) == set((rows // 8).tolist())


def test_batches_in_blocks_hold_the_rows_they_name(in_blocks):
    source, samples = in_blocks
    chosen = samples.subset(np.flatnonzero(np.arange(N_ROWS) % 5))
    for x, rows, _ in Batches(chosen, BATCH_SIZE):
        assert (chosen.rows[rows] % 5).all()
        assert torch.equal(x, torch.from_numpy(source.values[chosen.rows[rows]]))


def test_resident_blocks_are_the_same(in_blocks):
    source, samples = in_blocks
    before = rows_of(Batches(samples, BATCH_SIZE))
    samples.to_device()
    assert torch.equal(samples.resident, torch.from_numpy(source.values))
    # Or a run would go on otherwise on a card that has more free memory.
    assert rows_of(Batches(samples, BATCH_SIZE)) == before


def test_going_on_is_as_never_having_stopped(in_blocks):
    _, samples = in_blocks
    assert [rows.tolist() for _, rows, _ in Batches(samples, BATCH_SIZE).skipping(5)] == rows_of(
        Batches(samples, BATCH_SIZE)
    )[5:]


def test_ranks_read_parts_of_one_order(in_blocks, monkeypatch):
    source, samples = in_blocks
    alone, shares, reads = rows_of(Batches(samples, BATCH_SIZE)), [], []
    for rank in range(2):
        source.reads.clear()
        monkeypatch.setattr("skclr.data.samples.world", ranks := World())
        ranks.join(rank, 2)
        shares.append(rows_of(Batches(samples, BATCH_SIZE)))
        reads.append({read[0] for read in source.reads})
    assert [one + other for one, other in zip(*shares, strict=True)] == alone
    # Each reads its own half of the blocks, and the one in which the other's begins.
    assert len(reads[0] & reads[1]) <= 1
