import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr import ContrastiveEmbedder
from skclr.frameworks import SimCLR
from skclr.losses import NTXent

GROUPS = torch.arange(10)


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_projector_has_so_many_layers(build, n_layers):
    projector = build(SimCLR, n_layers=n_layers).projector
    assert sum(isinstance(layer, nn.Linear) for layer in projector.modules()) == n_layers


def test_without_a_head_the_loss_compares_embeddings(build, make_views):
    simclr, views = build(SimCLR, n_layers=0).eval(), make_views()
    embeddings = torch.cat([simclr.encoder(view) for view in views])
    assert_close(simclr(views, GROUPS), NTXent()(embeddings, GROUPS.repeat(2)))


def test_fewer_layers_than_none(table):
    with pytest.raises(ValueError, match="n_layers=-1: use 1 or more"):
        ContrastiveEmbedder(framework_params={"n_layers": -1}).fit(table[0])
