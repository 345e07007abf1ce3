"""The supervised network: cross-entropy of the labelled samples, whose groups are their classes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from skclr import ContrastiveEmbedder
from skclr.frameworks import BY_CLASS, FRAMEWORKS, Supervised
from skclr.saving import CLASSES


@pytest.fixture
def framework():
    torch.manual_seed(0)
    encoder = nn.Linear(4, 5)
    encoder.out_features = 5
    return Supervised(encoder, n_classes=3)


def test_is_chosen_by_class_alone_and_may_be_named_by_files():
    assert Supervised in BY_CLASS
    assert Supervised not in FRAMEWORKS.values()
    assert {part.__name__: part for part in BY_CLASS}.items() <= CLASSES.items()


def test_loss_is_the_cross_entropy_of_the_labelled(framework):
    views, groups = [torch.randn(4, 4), torch.randn(4, 4)], torch.tensor([2, -1, 0, -7])
    expected = [cross_entropy(framework.logits(view)[[0, 2]], groups[[0, 2]]) for view in views]
    assert_close(framework(views, groups), sum(expected) / 2)


def test_a_batch_without_labels_costs_nothing(framework):
    assert framework([torch.randn(3, 4)] * 2, torch.tensor([-1, -2, -3])) == 0


def test_a_group_that_is_not_a_class_is_refused(framework):
    with pytest.raises(ValueError, match=r"n_classes=3, but a sample has the group 3, .*positives='labels'"):
        framework([torch.randn(2, 4)] * 2, torch.tensor([0, 3]))


def test_positives_of_views_are_refused():
    embedder = ContrastiveEmbedder(Supervised, framework_params={"n_classes": 2}, max_epochs=1)
    with pytest.raises(ValueError, match=r"n_classes=2, but a sample has the group"):
        embedder.fit(np.random.default_rng(0).normal(size=(20, 3)))
