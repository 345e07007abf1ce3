"""The clock: progress that a state dict remembers."""

import torch
from torch import Tensor, nn


class Clock(nn.Module):
    """Hold the progress that `forward` looks at, so that a resumed run goes on from there.

    Attributes
    ----------
    progress : fraction of optimiser steps done; 0 until it is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.progress = 0.0

    def get_extra_state(self) -> Tensor:
        # No buffer: that would move to the accelerator, and reading it there would stop the device.
        return torch.tensor(self.progress, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.progress = state.item()
