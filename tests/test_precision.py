import pytest
import torch
from torch.testing import assert_close

from skclr.precision import at_least_float32, multiplies_faster_in_bfloat16, single_columns_padded


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype):
    assert at_least_float32(torch.ones(2, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wider_precision_stays_as_it_is(dtype):
    x = torch.ones(2, dtype=dtype)
    assert at_least_float32(x) is x


@pytest.mark.parametrize(
    ("capabilities", "faster"),
    [
        ({"architecture": "x86_64", "cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"architecture": "x86_64", "cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "cpu_name": "AMD EPYC", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "aarch64", "bf16": True}, False),
    ],
)
def test_bfloat16_is_for_cpus_with_units_for_it(capabilities, faster, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert multiplies_faster_in_bfloat16(torch.device("cpu")) == faster


def test_bfloat16_is_not_faster_where_nobody_can_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_faster_in_bfloat16(torch.device("cpu"))
    assert not multiplies_faster_in_bfloat16(torch.device("meta"))


@pytest.mark.parametrize(("kernel", "channels_last"), [(3, False), (3, True), (1, True)])
def test_gradients_of_images_of_one_column(kernel, channels_last):
    convolution = torch.nn.Conv2d(32, 64, kernel, stride=2, padding=kernel // 2, bias=False)
    x = torch.randn(16, 32, 8, 1)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    expected = convolution(x)
    (exact,) = torch.autograd.grad(expected.square().sum(), [convolution.weight])
    with single_columns_padded(convolution):
        assert_close(convolution(x), expected)
        for _ in range(5):
            # What is freed has NaN in it, and is what uninitialised memory is made of.
            freed = [torch.full((2**k,), float("nan")) for k in range(4, 20) for _ in range(8)]
            del freed
            with torch.autocast("cpu", torch.bfloat16):
                y = convolution(x)
            (grad,) = torch.autograd.grad(y.float().square().sum(), [convolution.weight])
            assert_close(grad, exact, rtol=0.1, atol=0.02 * float(exact.abs().max()))
