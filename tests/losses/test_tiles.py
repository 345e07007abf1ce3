import pytest
import torch

from skclr.losses import tiles

CANDIDATES = torch.zeros(1_024, 1)


@pytest.mark.parametrize(
    ("known", "n_bytes"), [({}, 2**21), ({"l2_cache_size": 2**20}, 2**21), ({"l2_cache_size": 2**23}, 2**23)]
)
def test_a_tile_fills_the_cache_that_torch_reports(known, n_bytes, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert tiles.cache_bytes() == n_bytes
    assert tiles.rows_per_tile(CANDIDATES, cpu_bytes=n_bytes) == n_bytes // (4 * len(CANDIDATES))


def test_a_tile_has_two_mebibytes_where_torch_reports_no_cache(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert tiles.cache_bytes() == 2**21
