from threading import Event

import numpy as np
import pytest
import torch

from skclr.training import Batches, HoldOut, Samples
from skclr.training.loader import one_ahead


@pytest.fixture
def samples():
    X = np.arange(22).reshape(11, 2).astype(np.float32)
    return Samples(X, torch.from_numpy, torch.device("cpu"))


def test_resident_samples_are_the_same(samples):
    expected = samples[np.array([3, 1])]
    samples.settle()
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
        samples.settle()
    chosen = samples.subset(np.arange(1, 11))
    assert (chosen.resident is not None) == resident
    for x, rows, groups in Batches(chosen, 4):
        assert torch.equal(x, torch.from_numpy(samples.X[rows]))
        assert torch.equal(groups, rows)


def test_the_next_item_is_made_meanwhile():
    made = [Event() for _ in range(4)]

    def make(number):
        made[number].set()
        return number

    items = one_ahead(make, range(4))
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

    batches = iter(Batches(Samples(np.arange(12), to_tensor, torch.device("cpu")), 4, shuffle=False))
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
