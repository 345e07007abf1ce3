"""The teacher: a slow copy of the student that gives targets and takes no gradient."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class Teacher(nn.Module):
    """Exponential moving average of an encoder and its projector.

    Parameters
    ----------
    encoder, projector : the student's; copied, the student itself is not kept.

    Notes
    -----
    Only parameters follow the student. Statistics of BatchNorm do not: the teacher runs in train mode
    when the framework does and normalises by its own batch, so its running averages are its own too.

    References
    ----------
    He et al. 2020 (MoCo), eq. 2. Differs: none.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder = deepcopy(encoder).requires_grad_(False)
        self.projector = deepcopy(projector).requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Take (B, *shape) to projections (B, d) without gradient."""
        projection: Tensor = self.projector(self.encoder(x))
        return projection

    @torch.no_grad()
    def follow(self, encoder: nn.Module, projector: nn.Module, decay: float) -> None:
        """Move every parameter towards the student's: teacher = decay · teacher + (1 - decay) · student.

        Parameters
        ----------
        encoder, projector : the student's.
        decay : in [0, 1]; 1 stands still, 0 copies the student.
        """
        own: list[Tensor] = [*self.encoder.parameters(), *self.projector.parameters()]
        student: list[Tensor] = [*encoder.parameters(), *projector.parameters()]
        # One fused kernel for all parameters instead of one for each.
        torch._foreach_lerp_(own, student, 1 - decay)
