import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.frameworks import BarlowTwins
from skclr.losses.redundancy import barlow_twins

GROUPS = torch.arange(10)


def test_loss_is_the_papers(build, make_views):
    framework, views = build(BarlowTwins, redundancy_weight=0.1).eval(), make_views()
    z1, z2 = (framework.projector(framework.encoder(view)) for view in views)
    normalize = nn.BatchNorm1d(z1.shape[1], affine=False)
    c = normalize(z1).T @ normalize(z2) / len(z1)
    on_diagonal = torch.eye(len(c), dtype=torch.bool)
    expected = (1 - c[on_diagonal]).square().sum() + 0.1 * c[~on_diagonal].square().sum()
    assert_close(framework(views, GROUPS), expected)


def test_each_view_has_statistics_of_its_own(build, make_views):
    # Joined views would hide a shift between them from BatchNorm's mean of each.
    framework, views = build(BarlowTwins), make_views()
    z1, z2 = (framework.projector(framework.encoder(view)) for view in views)
    assert_close(build(BarlowTwins)(views, GROUPS), barlow_twins(z1, z2, framework.redundancy_weight))


@pytest.mark.parametrize("n_views", [1, 3])
def test_takes_exactly_two_views(build, make_views, n_views):
    assert BarlowTwins.exact_views == 2
    with pytest.raises(ValueError, match="values to unpack"):
        build(BarlowTwins)(make_views(n_views), GROUPS)
