"""Aligned views given by the user: several arrays, in which row i of each is sample i."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.data.ragged import Ragged
from skclr.data.stored import edges_of, in_blocks


class Aligned:
    """Rows of several aligned arrays; `aligned[rows]` is a list with one slice of each.

    Parameters
    ----------
    sides : the result of a modality's `read` for each view.

    Raises
    ------
    ValueError : if they differ in shape.
    """

    def __init__(self, sides: list[Any]) -> None:
        for side in sides:
            if isinstance(side, Ragged):
                # Views may have different lengths, such as question and answer.
                side.length = max(other.shape[1] for other in sides)
        if len({side.shape[1:] for side in sides}) > 1:
            shapes = " and ".join(str(tuple(side.shape[1:])) for side in sides)
            raise ValueError(f"X holds views of shapes {shapes}. Pass views of one shape.")
        self.sides = sides

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as a single array, (n, n_views, ...)."""
        n_samples, *rest = self.sides[0].shape
        return n_samples, len(self.sides), *rest

    def __getitem__(self, rows: np.ndarray) -> list[Any]:
        return [side[rows] for side in self.sides]

    @property
    def edges(self) -> np.ndarray:
        """See `Stored`; those of the side with the most blocks."""
        return max(map(edges_of, self.sides), key=len)

    def in_blocks(self) -> Aligned:
        """See `Stored.in_blocks`."""
        aligned = copy.copy(self)
        aligned.sides = [in_blocks(side) for side in self.sides]
        return aligned


def stack_views(to_tensor: Callable[[Any], Tensor]) -> Callable[[list[Any]], Tensor]:
    """Return a version of `to_tensor` that maps slices of all views to (B, n_views, *shape)."""
    return lambda sides: torch.stack([to_tensor(side) for side in sides], 1)


def map_views(prepare: Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor] | None:
    """Return a function of samples (B, *shape) as one of all views, (B, n_views, *shape); None stays None."""
    return None if prepare is None else lambda x: torch.stack([prepare(view) for view in x.unbind(1)], 1)
