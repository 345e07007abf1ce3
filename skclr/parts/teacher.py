"""The teacher: a moving average of the student, which provides targets and is not trained by gradients."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class Teacher(nn.Module):
    """Exponential moving average of an encoder and its projector.

    Parameters
    ----------
    encoder, projector : those of the student; copied, so that the student itself is not stored here.

    Notes
    -----
    Only parameters follow the student. BatchNorm statistics do not: the teacher runs in train mode when the framework
    does and normalises by its own batch, so it also keeps its own running averages.

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
        """Return the projections (B, d) of samples (B, *shape), without gradient."""
        projection: Tensor = self.projector(self.encoder(x))
        return projection

    @torch.no_grad()
    def follow(self, encoder: nn.Module, projector: nn.Module, decay: float) -> None:
        """Update every parameter: teacher = decay · teacher + (1 - decay) · student.

        Parameters
        ----------
        encoder, projector : those of the student.
        decay : in [0, 1]; 1 keeps the teacher, 0 copies the student.
        """
        own: list[Tensor] = [*self.encoder.parameters(), *self.projector.parameters()]
        student: list[Tensor] = [*encoder.parameters(), *projector.parameters()]
        # One fused kernel instead of one per parameter.
        torch._foreach_lerp_(own, student, 1 - decay)
