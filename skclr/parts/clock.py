"""The training progress, stored in the state dict."""

import torch
from torch import Tensor, nn


class Clock(nn.Module):
    """Store the progress that `forward` reads, so that a resumed run continues from it.

    Attributes
    ----------
    progress : fraction of optimiser steps done, initially 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.progress = 0.0

    def get_extra_state(self) -> Tensor:
        # Not a buffer, which would move to the accelerator, where reading it would stall the step.
        return torch.tensor(self.progress, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.progress = state.item()
