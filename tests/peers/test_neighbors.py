"""pynndescent finds the neighbours that all distances give."""

import numpy as np
import pytest

from skclr.views.neighbors import nearest

pytestmark = pytest.mark.peers


def test_pynndescent_finds_nearly_all_neighbours():
    pytest.importorskip("pynndescent")
    x = np.random.default_rng(0).normal(size=(3_000, 8)).astype(np.float32)
    exact = nearest(x, 10)
    first, second = (nearest(x, 10, algorithm="pynndescent", exact_rows=1_000) for _ in range(2))
    recall = (first[:, :, None] == exact[:, None]).any(2).mean()
    assert recall > 0.95
    np.testing.assert_array_equal(first, second)
