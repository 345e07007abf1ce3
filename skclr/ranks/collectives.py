"""Ranks: processes that train one model together, each on its own rows of every batch.

The loss of a rank is a number of its own, and what counts is the mean over the ranks. A mean over the rows of a rank
needs nothing; what compares rows, or divides by their statistics, goes through `world`. Gradients come back from all
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
    """The processes that train one model together. Until it joins others, its functions return their input.

    Attributes
    ----------
    rank, size : number of this process, from 0, and number of processes.
    gather : takes the rows (B, ...) of this rank to those of all ranks (size · B, ...), in the order of the batch.
    share : takes rows that all ranks have to this rank's share of them; a remainder belongs to no rank.
    average : averages a floating tensor over the ranks.
    any_rank : takes a flag to whether it is set on any rank.
    """

    gather: Callable[[Tensor], Tensor]
    share: Callable[[Any], Any]
    average: Callable[[Tensor], Tensor]
    any_rank: Callable[[bool], bool]

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        # +x is x itself, without a Python call: a single process pays nothing for ranks.
        self.gather = self.share = self.average = operator.pos
        self.any_rank = operator.truth

    def join(self, rank: int, size: int) -> None:
        """Exchange rows with other processes by torch.distributed from now on."""
        self.rank, self.size = rank, size
        if size > 1:
            self.gather, self.average = _Gather.apply, _Average.apply
            self.share, self.any_rank = self._own_rows, self._on_any

    def _own_rows(self, rows: Any) -> Any:
        size = len(rows) // self.size
        return rows[self.rank * size : (self.rank + 1) * size]

    def _on_any(self, flag: bool) -> bool:
        return bool(self.average(torch.tensor(float(flag))) > 0)


# Of the process, not of a thread: autograd computes in threads of its own.
world = World()


@contextmanager
def together() -> Iterator[None]:
    """Divide the batches of the block among the ranks of torch's process group, if there is one."""
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
        # reduce_scatter would send half as much, but gloo of older torch has none.
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
