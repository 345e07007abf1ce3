"""Communication between ranks, which train one model together, each on its own rows of every batch.

Each rank computes its own loss, and the mean over the ranks is minimised. A mean over the rows of a rank needs no
communication; whatever compares rows, or uses their statistics, goes through `world`, and receives gradients from all
ranks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class World:
    """The group of processes that train one model; its functions return their input unless there are several.

    Attributes
    ----------
    rank, size : index of this process, from 0, and number of processes.
    gather : returns the rows of all ranks (size · B, ...), in the order of the batch, given those of this rank (B,
        ...).
    share : returns this rank's share of rows that all ranks have; a remainder belongs to no rank.
    average : averages a floating tensor over the ranks.
    any_rank : returns whether a flag is set on any rank.
    """

    gather: Callable[[Tensor], Tensor]
    share: Callable[[Any], Any]
    average: Callable[[Tensor], Tensor]
    any_rank: Callable[[bool], bool]

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        # +x is x itself, without a Python call, so that a single process has no overhead.
        self.gather = self.share = self.average = operator.pos
        self.any_rank = operator.truth

    def join(self, rank: int, size: int) -> None:
        """Start to communicate with other processes by torch.distributed."""
        self.rank, self.size = rank, size
        if size > 1:
            self.gather, self.average = _Gather.apply, _Average.apply
            self.share, self.any_rank = self._own_rows, self._on_any

    def _own_rows(self, rows: Any) -> Any:
        size = len(rows) // self.size
        return rows[self.rank * size : (self.rank + 1) * size]

    def _on_any(self, flag: bool) -> bool:
        return bool(self.average(torch.tensor(float(flag))) > 0)


# One per process instead of per thread, since autograd runs in its own threads.
world = World()


@contextmanager
def sharing_batches() -> Iterator[None]:
    """Distribute batches over the ranks of torch's process group, if there is one, within the block."""
    before = dict(vars(world))
    if dist.is_available() and dist.is_initialized():
        world.join(dist.get_rank(), dist.get_world_size())
    try:
        yield
    finally:
        vars(world).update(before)


def gather(x: Tensor) -> Tensor:
    """Return the rows of all ranks, for losses and frameworks of your own; see `World`."""
    return world.gather(x)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows = x.new_empty(world.size, *x.shape)
        dist.all_gather(list(rows.unbind()), x.contiguous())
        return rows.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # reduce_scatter would send half as much, but gloo lacks it in older versions of torch.
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        share: Tensor = world.share(grad)
        return share


class _Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        mean = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(mean)
        return mean / world.size

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        averaged: Tensor = _Average.apply(grad)
        return averaged
