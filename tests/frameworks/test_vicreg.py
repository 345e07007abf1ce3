from itertools import combinations

import torch
from torch.testing import assert_close

from skclr.frameworks import VICReg
from skclr.losses.redundancy import vicreg

GROUPS = torch.arange(10)


def test_two_views_are_one_pair(build, make_views):
    framework, views = build(VICReg, covariance_weight=3.0).eval(), make_views()
    z1, z2 = (framework.projector(framework.encoder(view)) for view in views)
    assert_close(framework(views, GROUPS), vicreg(z1, z2, 25.0, 25.0, 3.0))


def test_more_views_are_compared_in_pairs_with_a_global_one(build, make_views):
    framework, views = build(VICReg).eval(), make_views(4)
    z = [framework.projector(framework.encoder(view)) for view in views]
    pairs = [vicreg(z[i], z[j]) for i, j in combinations(range(4), 2) if i < 2]
    assert len(pairs) == 5
    assert_close(framework(views, GROUPS), sum(pairs) / 5)
