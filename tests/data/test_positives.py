import torch

from skclr.data.positives import positive_groups


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
