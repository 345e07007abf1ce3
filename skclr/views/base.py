"""The base class of all view makers."""

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

# More would not fit into any batch, and no paper uses as many.
_MOST_VIEWS = 1_000


class Samples(Protocol):
    """Protocol of training data, possibly larger than memory; a tensor (n, *shape) is the simplest case.

    Attributes
    ----------
    groups : (n,) int64 positive groups; in a tensor, each sample is its own group.
    """

    groups: Tensor

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the samples of row numbers (B,) as a tensor (B, *shape)."""


class Views(Plain, ABC):
    """Base class of objects that create several views of each sample of a batch.

    A view maker takes its settings as keywords, checks them and stores each under its name; attributes learned in `fit`
    end in an underscore. It can be pickled and deep-copied.

    Attributes
    ----------
    n_views : number of global views that a call returns; local views may follow them.
    shows_given : whether the views are those given in X, (B, n_views, *shape) per batch, instead of augmentations.
    facts : names of the constructor's arguments that are facts about the data, which the modality fills in if the user
        leaves them at their default; see `skclr.modalities.Modality.facts`.
    """

    n_views: int
    shows_given: ClassVar[bool] = False
    facts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fit(self, samples: Samples) -> Self:
        """Learn from the training data whatever the views depend on.

        Parameters
        ----------
        samples : n training samples; `samples[rows]` is a tensor (B, *shape).
        """

    @abstractmethod
    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return the views of a batch.

        Parameters
        ----------
        x : (B, *shape), not written to.
        rows : (B,) int64, the row of each sample in the data passed to `fit`.
        generator : source of all randomness, on the device of x.

        Returns
        -------
        Tensors (B, *shape_v); row i of each is sample i, global views first.
        """

    def n_values(self, shape: tuple[int, ...]) -> int:
        """Return roughly how many values are held in memory while one view of a sample of `shape` is created."""
        on_top = getattr(self, "on_top", None)
        return max(math.prod(shape), on_top.n_values(shape) if isinstance(on_top, Views) else 0)

    def held_out(self, samples: Samples) -> Views:
        """Return a view maker for samples held out of training; called after `fit`.

        By default this is a copy fitted on the held-out samples alone, so that `rows` refers to them. A maker that
        ignores `rows` may return itself, and then uses what it learned from the training data.

        Parameters
        ----------
        samples : n held-out samples.
        """
        return copy.deepcopy(self).fit(samples)

    def release(self) -> None:
        """Drop references to the training data, after training has ended."""


def groups_of(samples: Samples | Tensor) -> Tensor:
    """Return the positive group of each sample, (n,) int64."""
    return torch.arange(len(samples)) if isinstance(samples, Tensor) else samples.groups


def check_n_views(n_views: Any, *, least: int, name: str = "n_views") -> None:
    """Raise a ValueError unless n_views is at least `least` and not absurdly large."""
    check_number(name, n_views, least, whole=True)
    if n_views > _MOST_VIEWS:
        raise ValueError(f"{name}={n_views}: use {_MOST_VIEWS} or fewer")


def check_on_top(on_top: Any) -> None:
    """Raise a ValueError unless on_top is a view maker or None."""
    if on_top is not None and not isinstance(on_top, Views):
        raise ValueError(f"on_top={on_top!r}: pass a view maker, such as skclr.views.Masking(n_views=1), or None")
