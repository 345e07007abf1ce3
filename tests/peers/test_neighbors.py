"""pynndescent finds the neighbours that all distances give."""

import pytest
import torch

from skclr.views import Neighbors, neighbors

pytestmark = pytest.mark.peers


def test_pynndescent_finds_nearly_all_neighbours(monkeypatch):
    pytest.importorskip("pynndescent")
    x = torch.randn(3_000, 8, generator=torch.Generator().manual_seed(0))
    exact = Neighbors().fit(x).neighbors_
    monkeypatch.setattr(neighbors, "_EXACT_ROWS", 1_000)
    first, second = (Neighbors().fit(x).neighbors_ for _ in range(2))
    recall = (first[:, :, None] == exact[:, None]).any(2).float().mean()
    assert recall > 0.95
    assert torch.equal(first, second)
