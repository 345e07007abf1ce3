import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr.losses.swapped import swapped_prediction


def problem(n=6, k=5):
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.rand(n, k, generator=generator, dtype=torch.float64) - 1
    codes = torch.rand(n, k, generator=generator, dtype=torch.float64)
    return scores, codes / codes.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_equals_the_papers_equation(temperature):
    scores, codes = problem()
    total = 0.0
    for s, q in zip(scores.numpy(), codes.numpy(), strict=True):
        p = np.exp(s / temperature) / np.exp(s / temperature).sum()
        total -= (q * np.log(p)).sum()
    assert swapped_prediction(scores, codes, temperature).item() == pytest.approx(total / len(scores), abs=1e-12)


def test_scores_that_tell_nothing_cost_log_of_the_number_of_prototypes():
    _, codes = problem(k=5)
    assert swapped_prediction(torch.zeros(6, 5), codes).item() == pytest.approx(math.log(5))


def test_least_at_the_codes_themselves():
    scores, codes = problem()
    entropy = -(codes * codes.log()).sum(dim=1).mean()
    assert_close(swapped_prediction(0.3 * codes.log(), codes, temperature=0.3), entropy)
    assert swapped_prediction(scores, codes, temperature=0.3) > entropy


def test_right_scores_cost_nothing_where_codes_are_one_hot():
    assert swapped_prediction(torch.eye(4), torch.eye(4), temperature=0.01).item() == pytest.approx(0, abs=1e-6)


def test_no_gradient_flows_into_codes():
    scores, codes = problem()
    swapped_prediction(scores.requires_grad_(), codes.requires_grad_()).backward()
    assert scores.grad is not None
    assert codes.grad is None


def test_gradient():
    scores, codes = problem()
    assert torch.autograd.gradcheck(lambda s: swapped_prediction(s, codes), scores.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    scores, codes = problem()
    scores = scores.to(dtype)
    loss = swapped_prediction(scores, codes.float(), temperature=0.01)
    assert loss.dtype == torch.float32
    assert_close(loss, swapped_prediction(scores.float(), codes.float(), temperature=0.01))
