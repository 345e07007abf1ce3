import pytest
import torch
from torch import nn


class TinyMLP(nn.Sequential):
    out_features = 8

    def __init__(self):
        super().__init__(nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))


@pytest.fixture
def build():
    """Make a framework around a tiny encoder; the same seed gives the same weights."""

    def build(framework, seed=0, **params):
        torch.manual_seed(seed)
        return framework(TinyMLP(), **params)

    return build


@pytest.fixture
def make_views():
    """Make noisy views of the same samples; the same seed gives the same views."""

    def make_views(n_views=2, n_samples=10, seed=0):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(n_samples, 6, generator=generator)
        return [x + 0.3 * torch.randn(x.shape, generator=generator) for _ in range(n_views)]

    return make_views
