"""The protocol that every view maker follows."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from skclr.arguments import check_number
from skclr.files.plain import Plain

# No batch has room for more, and no paper has as many.
_MOST_VIEWS = 1_000


class Samples(Protocol):
    """Training data that may be larger than memory; a tensor (n, *shape) is the simplest case.

    Attributes
    ----------
    groups : (n,) int64 positive groups; in a tensor each sample is a group of its own.
    """

    groups: Tensor

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Take row numbers (B,) to a tensor (B, *shape)."""


class Views(Plain, ABC):
    """A way to make several views of each sample of a batch.

    A view maker takes its settings as keywords, checks them and keeps each as the attribute of its
    name; what it learns in `fit` ends in an underscore. It can be pickled and deep-copied.

    Attributes
    ----------
    n_views : number of global views that a call makes; local ones may follow them.
    shows_given : whether the views are those that X holds, (B, n_views, *shape) a batch, and none are made.
    facts : names of the constructor's arguments that are facts of the data, which the modality fills in where the
        user leaves them at their default; see `skclr.modalities.Modality.facts`.
    """

    n_views: int
    shows_given: ClassVar[bool] = False
    facts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fit(self, samples: Samples) -> Self:
        """Learn from training data what the views need to know of them.

        Parameters
        ----------
        samples : n training samples; `samples[rows]` is a tensor (B, *shape).
        """

    @abstractmethod
    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Make the views of a batch.

        Parameters
        ----------
        x : (B, *shape), not written to.
        rows : (B,) int64, the row of each sample in the samples that the maker was fitted on.
        generator : source of all randomness, on the device of x.

        Returns
        -------
        Tensors (B, *shape_v); row i of each is sample i, global views first.
        """

    def n_values(self, shape: tuple[int, ...]) -> int:
        """Return how many values one view of a sample of `shape` takes while it is made, within a small factor."""
        on_top = getattr(self, "on_top", None)
        return max(math.prod(shape), on_top.n_values(shape) if isinstance(on_top, Views) else 0)

    def held_out(self, samples: Samples) -> Views:
        """Return a view maker for samples that are held out of training, once the maker has been fitted.

        By default it is a copy fitted on them alone, so that `rows` are theirs. A maker that asks nothing of `rows` may
        return itself: what it has learned then comes from the training data.

        Parameters
        ----------
        samples : n held-out samples.
        """
        return copy.deepcopy(self).fit(samples)

    def release(self) -> None:
        """Let go of the training data that the maker holds, if any: training has ended."""


def groups_of(samples: Samples | Tensor) -> Tensor:
    """Return the positive group of each sample, (n,) int64."""
    return torch.arange(len(samples)) if isinstance(samples, Tensor) else samples.groups


def check_n_views(n_views: Any, *, least: int, name: str = "n_views") -> None:
    """Raise a ValueError unless there are `least` views or more, and no more than a batch has room for."""
    check_number(name, n_views, least, whole=True)
    if n_views > _MOST_VIEWS:
        raise ValueError(f"{name}={n_views}: use {_MOST_VIEWS} or fewer")


def check_on_top(on_top: Any) -> None:
    """Raise a ValueError where views on top of others are neither a view maker nor None."""
    if on_top is not None and not isinstance(on_top, Views):
        raise ValueError(f"on_top={on_top!r}: pass a view maker, such as skclr.views.Masking(n_views=1), or None")
