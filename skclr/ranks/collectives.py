"""Ranks: processes that train one model together, each on its own rows of every batch.

A loss on a rank is a number of its own, and what counts is the mean over the ranks: a mean over the rank's own rows
needs nothing, and what compares rows, or divides by their statistics, takes `gather`, `average` and `batch_mean`.
Gradients come back from all ranks. Alone, outside of `together`, all of these give back what they are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Rows = TypeVar("Rows", bound=Any)

# Of the process and not of a thread: autograd computes in threads of its own.
_ALONE = (0, 1)
_place = _ALONE


@contextmanager
def together() -> Iterator[None]:
    """Share the batches of the block out among the ranks of torch's process group, if there is one."""
    global _place
    before = _place
    if dist.is_available() and dist.is_initialized():
        _place = dist.get_rank(), dist.get_world_size()
    try:
        yield
    finally:
        _place = before


def rank() -> int:
    """Give this process's number, from 0."""
    return _place[0]


def n_ranks() -> int:
    """Give the number of processes, 1 alone."""
    return _place[1]


def share(rows: Rows) -> Rows:
    """Give this rank's of rows that all ranks have; of a remainder nobody has any."""
    size = len(rows) // n_ranks()
    return rows[rank() * size : (rank() + 1) * size]


def gather(x: Tensor) -> Tensor:
    """Take this rank's rows (B, ...) to those of all ranks (n_ranks · B, ...), in the order of the whole batch."""
    return x if n_ranks() == 1 else _Gather.apply(x)


def average(x: Tensor) -> Tensor:
    """Average a floating tensor over the ranks."""
    return x if n_ranks() == 1 else _Average.apply(x)


def batch_mean(x: Tensor) -> Tensor:
    """Average (B, ...) over the rows of the whole batch."""
    return average(x.mean(0))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows = x.new_empty(n_ranks(), *x.shape)
        dist.all_gather(list(rows.unbind()), x.contiguous())
        return rows.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # reduce_scatter would send half as much, but gloo of older torch has none.
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return share(grad)


class _Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        mean = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(mean)
        return mean / n_ranks()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return average(grad)
