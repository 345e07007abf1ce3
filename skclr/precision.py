"""Half precision: where it is faster, and where float32 is needed."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skclr.forwarding import forward_replaced


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in float32, or unchanged if its dtype is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Return a context without autocast on a device."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def multiplies_faster_in_bfloat16(device: torch.device) -> bool:
    """Return whether a device has hardware units for bfloat16 products, not only instructions.

    Notes
    -----
    Intel's AVX-512 without AMX has the instructions, but is slower than in float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of torch do not report it.
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    has = torch.cpu.get_capabilities()
    return has.get("amx_bf16", False) or (has.get("avx512_bf16", False) and has["cpu_name"].startswith("AMD"))


def single_columns_padded(module: nn.Module) -> AbstractContextManager[None]:
    """Zero-pad width-1 images before strided convolutions (a workaround for bfloat16 on CPUs).

    Notes
    -----
    Works around a bug in oneDNN, which leaves the gradient of the weight of such a convolution uninitialised (torch
    2.14). If the zero padding of the convolution covers the second column anyway, the output is the same.
    """
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    striding = [c for c in convolutions if c.stride[1] > 1 and c.padding_mode == "zeros" and c.padding != "valid"]
    return forward_replaced(striding, _padded)


def _padded(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    covered = 2 * int(convolution.padding[1]) + 1 == convolution.kernel_size[1]
    if covered and x.shape[-1] == 1 and x.device.type == "cpu":
        x = pad(x, (0, 1))
    return type(convolution).forward(convolution, x)
