"""Views that the user gives: several arrays, of which row i of each is sample i."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.data.ragged import Ragged
from skclr.data.sources import holds_views, opened
from skclr.data.stored import Stored, edges_of, reader_of


class Aligned:
    """Rows of several arrays side by side; `aligned[rows]` is one slice of each.

    Parameters
    ----------
    sides : what a modality's `read` gave for each view.

    Raises
    ------
    ValueError : where they differ in number or in shape.
    """

    def __init__(self, sides: list[Any]) -> None:
        lengths = [side.shape[0] for side in sides]
        if len(sides) < 2 or len(set(lengths)) > 1:
            raise ValueError(
                f"X gives {len(sides)} view(s) of {', '.join(map(str, lengths))} samples: give two or more, of the "
                "same samples in the same order"
            )
        for side in sides:
            if isinstance(side, Ragged):
                # Of question and answer one is longer.
                side.length = max(other.shape[1] for other in sides)
        if len({side.shape[1:] for side in sides}) > 1:
            shapes = " and ".join(str(tuple(side.shape[1:])) for side in sides)
            raise ValueError(f"X gives views of shapes {shapes}: give views of one shape")
        self.sides = sides

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as one array (n, n_views, ...)."""
        n_samples, *rest = self.sides[0].shape
        return n_samples, len(self.sides), *rest

    def __getitem__(self, rows: np.ndarray) -> list[Any]:
        return [side[rows] for side in self.sides]

    @property
    def edges(self) -> np.ndarray:
        """See `Stored`; of the side in most blocks."""
        return max(map(edges_of, self.sides), key=len)

    def reader(self) -> Aligned:
        """See `Stored.reader`."""
        aligned = copy.copy(self)
        aligned.sides = [reader_of(side) for side in self.sides]
        return aligned


def stacked(to_tensor: Callable[[Any], Tensor]) -> Callable[[list[Any]], Tensor]:
    """Make of a modality's `to_tensor` one that takes slices of all views to (B, n_views, *shape)."""
    return lambda sides: torch.stack([to_tensor(side) for side in sides], 1)


def views_in(X: Any, *, paired: bool) -> list[Any]:
    """Return the views that X holds: one array, unless it is a tuple of views, or (n, n_views, *shape) and `paired`.

    `holds_views` says which tuples hold views and which hold samples.

    What is kept on disk, or comes from an object of the user's own, is `opened`.

    Raises
    ------
    ValueError : where X should hold several views and does not.
    """
    views = _split(X, paired=paired)
    if paired and len(views) < 2:
        raise ValueError(
            "views='paired' takes the views from X, and X holds one of each sample: give a tuple of aligned arrays, or "
            "one array (n, n_views, *shape)"
        )
    return views


def _split(X: Any, *, paired: bool) -> list[Any]:
    if isinstance(X, tuple) and X and holds_views(X, paired=paired):
        return [opened(view) for view in X]
    X = opened(X)
    # A text is a sample without a shape of its own.
    if not paired or len(getattr(X, "shape", ())) < (2 if _holds_text(X) else 3):
        return [X]
    if isinstance(X, Stored):
        return [X.parsed(operator.itemgetter((slice(None), view))) for view in range(X.shape[1])]
    return [X[:, view] for view in range(X.shape[1])]


def _holds_text(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.size > 0 and all(isinstance(value, str) for value in X.flat)
