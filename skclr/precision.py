"""Where half precision pays, and what needs more digits than it has."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skclr.forwarding import forward_replaced


def at_least_float32(x: Tensor) -> Tensor:
    """Give `x` in float32, or as it is where it is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Switch autocast off, on a device that has it."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def multiplies_faster_in_bfloat16(device: torch.device) -> bool:
    """Tell whether a device has units for products of bfloat16, and not only instructions.

    Notes
    -----
    Intel's AVX-512 without AMX has the instructions, and takes longer than in float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of torch do not say.
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    has = torch.cpu.get_capabilities()
    return has.get("amx_bf16", False) or (has.get("avx512_bf16", False) and has["cpu_name"].startswith("AMD"))


def single_columns_padded(module: nn.Module) -> AbstractContextManager[None]:
    """Pad images of one column by a column of zeros before strided convolutions on a CPU, which bfloat16 needs.

    Notes
    -----
    Workaround for a bug of oneDNN, which leaves the gradient of such a convolution's weight uninitialised (torch 2.14).
    Where the convolution's own zero padding covers the second column anyhow, the output is the same.
    """
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    striding = [c for c in convolutions if c.stride[1] > 1 and c.padding_mode == "zeros" and c.padding != "valid"]
    return forward_replaced(striding, _padded)


def _padded(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    covered = 2 * int(convolution.padding[1]) + 1 == convolution.kernel_size[1]
    if covered and x.shape[-1] == 1 and x.device.type == "cpu":
        x = pad(x, (0, 1))
    return type(convolution).forward(convolution, x)
