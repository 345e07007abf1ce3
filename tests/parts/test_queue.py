import pytest
import torch
from torch.testing import assert_close

from skclr.parts.queue import NO_SAMPLE, Queue


def batch(*values):
    """Rows of one value each, which is their group id too."""
    return torch.tensor(values, dtype=torch.float32)[:, None].expand(-1, 2), torch.tensor(values)


def test_starts_with_random_unit_rows_that_are_not_samples():
    torch.manual_seed(0)
    queue = Queue(500, 8)
    assert_close(queue.rows.norm(dim=1), torch.ones(500))
    assert queue.rows.mean(dim=0).abs().max() < 0.1
    assert (queue.groups == NO_SAMPLE).all()


def test_samples_take_the_places_of_random_rows():
    queue = Queue(5, 2)
    random = queue.rows.clone()
    queue.push(*batch(1, 2))
    assert queue.groups.tolist() == [1, 2, NO_SAMPLE, NO_SAMPLE, NO_SAMPLE]
    assert_close(queue.rows[2:], random[:3])


def test_newest_batch_first_and_oldest_rows_leave():
    # 3 does not divide 7: no row may be lost but the oldest ones.
    queue = Queue(7, 2)
    for start in (0, 3, 6):
        queue.push(*batch(start, start + 1, start + 2))
    assert queue.groups.tolist() == [6, 7, 8, 3, 4, 5, 0]
    assert_close(queue.rows, batch(6, 7, 8, 3, 4, 5, 0)[0])


def test_rows_keep_their_group_ids():
    queue = Queue(4, 2)
    for start in range(10):
        queue.push(*batch(start, start + 100, start + 200))
        sampled = queue.groups != NO_SAMPLE
        assert_close(queue.rows[sampled, 0], queue.groups[sampled].float())


@pytest.mark.parametrize("size", [0, 1, 3])
def test_batch_larger_than_the_queue(size):
    queue = Queue(size, 2)
    for _ in range(2):
        queue.push(*batch(1, 2, 3, 4))
        assert queue.groups.tolist() == [1, 2, 3, 4][:size]
        assert queue.rows.shape == (size, 2)


def test_eval_mode_changes_nothing():
    queue = Queue(4, 2)
    queue.push(*batch(1, 2))
    queue.eval()
    queue.push(*batch(3, 4))
    assert queue.groups.tolist()[:2] == [1, 2]


def test_push_breaks_no_graph_that_holds_the_old_rows():
    queue = Queue(2, 2)
    queue.push(*batch(1, 2))
    query = torch.ones(1, 2, requires_grad=True)
    loss = (query @ queue.rows.T).exp().sum()
    queue.push(*batch(3, 4))
    loss.backward()
    assert query.grad is not None


def test_keeps_no_gradient():
    queue = Queue(4, 2)
    queue.push(torch.ones(2, 2, requires_grad=True), torch.arange(2))
    assert not queue.rows.requires_grad


def test_keeps_its_own_dtype():
    queue = Queue(4, 2).double()
    queue.push(torch.ones(2, 2, dtype=torch.bfloat16), torch.arange(2))
    assert queue.rows.dtype == torch.float64
    assert queue.groups.dtype == torch.int64


def test_holds_no_more_memory_than_its_rows():
    queue = Queue(3, 2)
    for _ in range(3):
        queue.push(*batch(1, 2))
    assert queue.rows.untyped_storage().nbytes() == 3 * 2 * 4


def test_state_dict_holds_rows_and_groups():
    saved, own = Queue(4, 2), Queue(4, 2)
    saved.push(*batch(1, 2, 3))
    own.load_state_dict(saved.state_dict())
    assert torch.equal(own.rows, saved.rows)
    assert torch.equal(own.groups, saved.groups)
