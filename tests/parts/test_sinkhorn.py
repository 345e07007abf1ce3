import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr.parts.sinkhorn import sinkhorn


def cosines(n_rows, n_columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(n_rows, n_columns, generator=generator, dtype=torch.float64) - 1


def plain_sinkhorn(scores, epsilon, n_iterations):
    """Listing of SwAV's appendix A.1, in float64."""
    q = np.exp(scores.numpy() / epsilon).T
    q /= q.sum()
    n_prototypes, n_samples = q.shape
    for _ in range(n_iterations):
        q /= q.sum(axis=1, keepdims=True) * n_prototypes
        q /= q.sum(axis=0, keepdims=True) * n_samples
    return torch.from_numpy((q * n_samples).T)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(12, 5), (5, 12), (1, 4)])
@pytest.mark.parametrize("n_iterations", [1, 3])
def test_equals_the_papers_listing(n_rows, n_columns, n_iterations):
    scores = cosines(n_rows, n_columns)
    expected = plain_sinkhorn(scores, 0.1, n_iterations)
    assert_close(sinkhorn(scores, 0.1, n_iterations), expected, rtol=1e-10, atol=1e-12)


def test_rows_are_distributions():
    codes = sinkhorn(cosines(30, 7))
    assert (codes >= 0).all()
    assert_close(codes.sum(dim=1), torch.ones(30, dtype=torch.float64))


def test_prototypes_are_used_equally():
    # One prototype is everyone's favourite: without balance it would take all samples.
    scores = cosines(40, 8)
    scores[:, 0] = 1.0
    codes = sinkhorn(scores, epsilon=0.5, n_iterations=100)
    assert_close(codes.sum(dim=0), torch.full((8,), 40 / 8, dtype=torch.float64))


def test_indifferent_scores_give_uniform_codes():
    assert_close(sinkhorn(torch.zeros(6, 4)), torch.full((6, 4), 1 / 4))


def test_unmistakable_scores_give_one_hot_codes():
    assert_close(sinkhorn(torch.eye(5), epsilon=0.01), torch.eye(5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("epsilon", [0.05, 0.01, 0.001])
def test_neither_overflows_nor_vanishes(dtype, epsilon):
    # exp(1 / 0.01) is beyond float32, and exp(1 / 0.05) beyond float16.
    codes = sinkhorn(cosines(16, 6).to(dtype), epsilon)
    assert codes.dtype == torch.float32
    assert torch.isfinite(codes).all()
    assert_close(codes.sum(dim=1), torch.ones(16))


def test_rows_far_below_the_maximum_stay_distributions():
    # With one maximum for all, this row's exponentials would all be zero.
    scores = torch.ones(4, 3)
    scores[0] = -1.0
    codes = sinkhorn(scores, epsilon=0.005)
    assert_close(codes.sum(dim=1), torch.ones(4))


def test_scores_of_any_scale_stay_finite():
    # Projections without normalisation gave inf here in other implementations.
    assert torch.isfinite(sinkhorn(1e4 * cosines(8, 4).float())).all()


def test_shift_of_all_scores_changes_nothing():
    scores = cosines(9, 4)
    assert_close(sinkhorn(scores + 3.0), sinkhorn(scores))


def test_gives_no_gradient_and_leaves_scores_alone():
    scores = cosines(6, 3).requires_grad_()
    before = scores.detach().clone()
    assert not sinkhorn(scores).requires_grad
    assert torch.equal(scores.detach(), before)
