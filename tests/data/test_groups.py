import numpy as np
import pytest
import torch

from skclr.data.groups import positive_groups
from skclr.training import row_groups


def partners(ids):
    return (ids[:, None] == ids).numpy()


@pytest.mark.parametrize(
    "labels", [[0, 1, 0, 1], ["a", "b", "a", "b"], [2.0, 5.0, 2.0, 5.0], [True, False, True, False]]
)
def test_labels_of_any_kind_make_groups(labels):
    expected = np.equal.outer([0, 1, 0, 1], [0, 1, 0, 1])
    np.testing.assert_array_equal(partners(row_groups(4, labels)), expected)


def test_unlabelled_rows_are_alone_and_no_class():
    together = partners(row_groups(5, np.array([-1, 0, -1, 0, 1])))
    assert together.sum() == 5 + 2
    assert together[1, 3]


def test_extra_rows_are_alone():
    together = partners(row_groups(2, [0, 0], n_extra=3))
    assert together.sum() == 5 + 2


@pytest.mark.parametrize("groups", [["p1", "p2", "p1"], [-1, 7, -1]])
def test_groups_are_ids_without_a_special_value(groups):
    together = partners(row_groups(3, groups=groups))
    assert together.sum() == 3 + 2
    assert together[0, 2]


def test_labels_are_numbered_in_sorted_order_and_all_else_is_negative():
    """The supervised network takes the ids for classes."""
    ids = row_groups(4, ["b", "a", -1, "c"], n_extra=1)
    assert ids[[0, 1, 3]].tolist() == [1, 0, 2]
    assert (ids[[2, 4]] < 0).all()


def test_labels_are_their_own_groups():
    labels = torch.tensor([2, 0, 2, 1])
    assert torch.equal(positive_groups(labels), labels)


def test_unlabelled_rows_are_groups_of_one():
    groups = positive_groups(torch.tensor([-1, 0, -1, 0, -1]))
    assert groups[1] == groups[3]
    alone = groups[[0, 2, 4]].tolist()
    assert len({*alone, 0}) == 4


def test_all_unlabelled_is_every_row_on_its_own():
    assert len(positive_groups(torch.full((50,), -1)).unique()) == 50


def test_input_stays():
    labels = torch.tensor([-1, 3])
    positive_groups(labels)
    assert labels.tolist() == [-1, 3]


def test_no_labels():
    assert positive_groups(torch.empty(0, dtype=torch.int64)).shape == (0,)
