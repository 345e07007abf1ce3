"""Statistics need more digits than half precision has."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Give `x` in float32, or as it is where it is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
