"""The base class of all frameworks."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from skclr.encoders.base import Encoder


class Recipe(NamedTuple):
    """Settings with which an optimiser trains a framework without tuning.

    `learning_rate` is for a batch of 256 samples and is multiplied by (batch size / 256) ** scaling, where `scaling` is
    1 for SGD and LARS (Goyal et al. 2017) and 1/2 for Adam and its variants (Malladi et al. 2022).
    """

    learning_rate: float
    weight_decay: float
    scaling: float = 1.0

    def at(self, batch_size: int) -> float:
        """Return the learning rate for a batch of `batch_size` samples."""
        return self.learning_rate * (batch_size / 256) ** self.scaling


class Framework(nn.Module, ABC):
    """Base class of methods that learn an encoder from several views of the same samples.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).

    Attributes
    ----------
    exact_views : number of views that `forward` takes; None for two or more.
    default_loss : name of the pairwise loss that the paper uses; None if the framework's objective cannot be replaced.
    uses_groups : whether labels and groups affect the loss.
    recipes : maps the name of an optimiser to its `Recipe`; the first is the default.
    """

    exact_views: ClassVar[int | None] = None
    default_loss: ClassVar[str | None] = None
    uses_groups: ClassVar[bool] = False
    recipes: ClassVar[dict[str, Recipe]]

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        """Return the loss of one batch.

        Parameters
        ----------
        views : tensors (B, *shape_v); row i of each is sample i, global views first.
        groups : (B,) int64; rows with the same id are positives of each other.

        Returns
        -------
        Scalar.
        """

    def after_step(self, progress: float) -> None:
        """Update state that is not trained by gradients, such as a momentum teacher, after an optimiser step.

        Parameters
        ----------
        progress : fraction of optimiser steps done, in (0, 1]; 0 for an endless stream.
        """
