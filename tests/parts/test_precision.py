import pytest
import torch

from skclr.parts.precision import at_least_float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype):
    assert at_least_float32(torch.ones(2, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wider_precision_stays_as_it_is(dtype):
    x = torch.ones(2, dtype=dtype)
    assert at_least_float32(x) is x
