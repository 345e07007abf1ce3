"""Where half precision pays, and what needs more digits than it has."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


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
