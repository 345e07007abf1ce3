"""The protocol that every framework follows."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from skclr.encoders.base import Encoder


class Recipe(NamedTuple):
    """What an optimiser needs to train a framework without tuning.

    `learning_rate` holds at a batch of 256 samples; `scaling` is its exponent in batch size / 256:
    1 for SGD and LARS (Goyal et al. 2017), 1/2 for Adam's family (Malladi et al. 2022).
    """

    learning_rate: float
    weight_decay: float
    scaling: float = 1.0

    def at(self, batch_size: int) -> float:
        """Return the learning rate for a batch of `batch_size` samples."""
        return self.learning_rate * (batch_size / 256) ** self.scaling


class Framework(nn.Module, ABC):
    """A way to learn an encoder from several views of the same samples.

    Parameters
    ----------
    encoder : takes (B, *shape) to (B, encoder.out_features).

    Attributes
    ----------
    exact_views : number of views `forward` takes; None for two or more.
    default_loss : name of the pairwise loss that the paper uses; None where the framework has an
        objective of its own and takes no other.
    uses_groups : whether labels and groups make a difference.
    recipes : optimiser's name to its `Recipe`; the first is the default.
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
        groups : (B,) int64; rows of one id are positives of each other.

        Returns
        -------
        Scalar.
        """

    def after_step(self, progress: float) -> None:
        """Move the state that no gradient moves, after a step of the optimiser.

        Parameters
        ----------
        progress : fraction of optimiser steps done, in (0, 1]; 0 on an endless stream.
        """
