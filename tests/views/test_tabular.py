import numpy as np
import pytest
import torch

from skclr.views import MarginalCorruption


@pytest.fixture
def reference():
    # Column j holds values in [10 j, 10 j + 1): a foreign value tells its column.
    generator = torch.Generator().manual_seed(0)
    return torch.rand(500, 4, generator=generator) + 10 * torch.arange(4)


def make(reference, **params):
    return MarginalCorruption(**params).fit(reference)(reference, torch.arange(500), torch.Generator().manual_seed(1))


def test_scarf_keeps_one_view_clean(reference):
    clean, corrupted = make(reference)
    assert clean is reference
    changed = (corrupted != reference).float().mean()
    # 2,000 entries, each replaced with probability 0.6: five standard deviations either way.
    assert abs(changed - 0.6) < 5 * (0.6 * 0.4 / 2000) ** 0.5


def test_replacements_come_from_the_same_column(reference):
    _, corrupted = make(reference, rate=(0, 1))
    assert torch.equal(corrupted // 10, reference // 10)
    for j in range(4):
        assert np.isin(corrupted[:, j], reference[:, j]).all()


def test_entries_are_replaced_one_by_one(reference):
    _, corrupted = make(reference, rate=(0, 0.5))
    changed = corrupted != reference
    assert 0.4 < changed[:, 0].float().mean() < 0.6
    assert (changed.any(1) & ~changed.all(1)).float().mean() > 0.8


def test_views_are_drawn_apart(reference):
    a, b, c = make(reference, n_views=3, rate=0.5)
    assert not torch.equal(a, b)
    assert not torch.equal(b, c)


def test_training_rows_are_let_go(reference):
    views = MarginalCorruption().fit(reference)
    views.release()
    assert not any(isinstance(value, torch.Tensor) for value in vars(views).values())


@pytest.mark.parametrize("params", [{"rate": 2}, {"rate": (0.1, 0.2, 0.3)}, {"rate": -0.1}])
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match="rate="):
        MarginalCorruption(**params)


def test_corruption_draws_from_every_row_of_few(reference):
    assert torch.equal(MarginalCorruption().fit(reference).reference_, reference)


@pytest.mark.parametrize("n_columns", [2, 2**16])
def test_corruption_keeps_few_numbers_of_many_rows(n_columns):
    class Samples:
        def __len__(self):
            return 3_000_000

        def __getitem__(self, rows):
            return torch.zeros(()).expand(len(rows), n_columns)

    kept = MarginalCorruption().fit(Samples()).reference_
    assert 2 <= len(kept) <= 100_000
    assert kept.numel() <= 2**27
