"""Apply a module to several views, and a loss to pairs of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

P = TypeVar("P")
T = TypeVar("T")


def forward_views(module: Callable[[Tensor], Tensor], views: list[Tensor]) -> list[Tensor]:
    """Apply `module` once to each run of consecutive views of equal shape.

    Parameters
    ----------
    module : maps (B, *shape) to (B, d).
    views : tensors (B, *shape_v); global views first, so that views of equal shape are consecutive.

    Returns
    -------
    One (B, d) tensor per view, in order.

    Notes
    -----
    BatchNorm sees the views of equal shape as one batch, as in the code of SimCLR, SwAV and DINO.
    """
    outputs: list[Tensor] = []
    while len(outputs) < len(views):
        rest = views[len(outputs) :]
        same = next((i for i, view in enumerate(rest) if view.shape != rest[0].shape), len(rest))
        outputs += module(torch.cat(rest[:same])).chunk(same)
    return outputs


def across_views(
    loss: Callable[[P, T], Tensor], predictions: Sequence[P], targets: Sequence[T], *, symmetric: bool = False
) -> Tensor:
    """Average a loss over all pairs of one view's prediction and another view's target.

    Parameters
    ----------
    loss : maps a prediction and a target to a scalar.
    predictions : one per view.
    targets : one per view, or only of the first (global) views.
    symmetric : whether predictions and targets are interchangeable, so that each pair of views counts once.

    Returns
    -------
    Scalar.
    """
    pairs = [
        loss(prediction, target)
        for i, prediction in enumerate(predictions)
        for j, target in enumerate(targets)
        if (i > j if symmetric else i != j)
    ]
    return torch.stack(pairs).mean()
