import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr.losses.regression import negative_cosine, normalized_mse

LOSSES = [negative_cosine, normalized_mse]


def rows(seed, n=7, d=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def test_negative_cosine_equals_the_papers_equation():
    p, z = rows(0), rows(1)
    expected = -np.mean(
        [a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(p.numpy(), z.numpy(), strict=True)]
    )
    assert negative_cosine(p, z).item() == pytest.approx(expected, abs=1e-12)


def test_normalized_mse_equals_the_papers_equation():
    q, z = rows(0), rows(1)
    errors = [a / np.linalg.norm(a) - b / np.linalg.norm(b) for a, b in zip(q.numpy(), z.numpy(), strict=True)]
    assert normalized_mse(q, z).item() == pytest.approx(np.mean([e @ e for e in errors]), abs=1e-12)


@pytest.mark.parametrize(("loss", "best", "worst"), [(negative_cosine, -1, 1), (normalized_mse, 0, 4)])
def test_range(loss, best, worst):
    p = rows(0)
    assert loss(p, p).item() == pytest.approx(best, abs=1e-12)
    assert loss(p, -p).item() == pytest.approx(worst, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_lengths_do_not_matter(loss):
    p, z = rows(0), rows(1)
    assert_close(loss(3 * p, 0.1 * z), loss(p, z))


@pytest.mark.parametrize("loss", LOSSES)
def test_no_gradient_flows_into_targets(loss):
    p, z = rows(0).requires_grad_(), rows(1).requires_grad_()
    loss(p, z).backward()
    assert p.grad is not None
    assert z.grad is None


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient(loss):
    target = rows(1)
    assert torch.autograd.gradcheck(lambda p: loss(p, target), rows(0).requires_grad_())


@pytest.mark.parametrize("loss", LOSSES)
def test_row_of_zeros_is_finite(loss):
    p = rows(0)
    p[0] = 0
    p.requires_grad_()
    loss(p, rows(1)).backward()
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    # The squared length of this row overflows float16.
    p, z = (300 * rows(0)).to(dtype), (300 * rows(1)).to(dtype)
    assert loss(p, z).dtype == torch.float32
    assert_close(loss(p, z), loss(p.float(), z.float()))
