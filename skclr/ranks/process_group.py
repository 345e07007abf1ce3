"""Data-parallel training: the processes that torchrun started train one model, by torch.distributed."""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType

import torch
import torch.distributed as dist
from joblib.parallel import BACKENDS, get_active_backend
from torch import nn

from skclr.ranks.collectives import together, world

if dist.is_available():
    # Optimisers import it. The defaults of its functions keep the group that exists at that time, and a group that is
    # kept cannot be left: the other ranks would wait for ever.
    from torch.distributed.nn import functional

    for function in vars(functional).values():
        if isinstance(function, FunctionType) and function.__defaults__:
            function.__defaults__ = tuple(
                None if isinstance(default, dist.ProcessGroup) else default for default in function.__defaults__
            )

# Whether an error has taken this process out of its group. torch would wait for ever for the others of a second one.
_left = False

# Held by the fit that the ranks are in: messages go by their order, and those of two fits would mix.
_fitting = threading.RLock()


@contextmanager
def data_parallel() -> Iterator[None]:
    """Train together with the other processes that a launcher has started, if there are any.

    Raises
    ------
    ConnectionError : where another rank has ended, or this one has left the others by an error before.
    RuntimeError : where another thread of this process is in such a fit.

    Notes
    -----
    Workers of joblib inherit the launcher's environment, and are none of its processes: each fit there is its own.
    """
    if _is_job() or not _is_rank():
        yield
        return
    if not _fitting.acquire(blocking=False):
        raise RuntimeError(
            "another thread of this rank is in a fit, and ranks train one model at a time: fit one after the other, or "
            "without torchrun"
        )
    try:
        _join()
        with together():
            try:
                yield
                # What rank 0 has written is there for all.
                agree(0)
            except BaseException as error:
                _leave(error)
                raise
    finally:
        _fitting.release()


def _is_job() -> bool:
    """Tell whether this call is a job of joblib's."""
    backend, _ = get_active_backend()
    # dask's jobs are at level 0, under dask's own backend.
    return bool(backend.nesting_level) or isinstance(backend, BACKENDS.get("dask", ()))


def _is_rank() -> bool:
    """Tell whether this process is one of a group, or its environment names one."""
    return dist.is_available() and (dist.is_initialized() or int(os.environ.get("WORLD_SIZE", 1)) > 1)


def _join() -> None:
    """Form torch's process group, once a process."""
    if dist.is_initialized():
        return
    if _left:
        raise ConnectionError("this rank has left the others, by an error in a fit before: start all ranks again")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    # NCCL between accelerators, gloo between hosts.
    dist.init_process_group()
    atexit.register(_end)


def _end() -> None:
    """End the group and its threads, which may abort an interpreter that ends before them."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _leave(error: BaseException) -> None:
    """Let the others, which wait for this rank, hear that it is gone."""
    global _left
    if world.size == 1:
        return
    _left = True
    _end()
    if isinstance(error, dist.DistError) or "gloo" in str(error):
        raise ConnectionError(
            f"another rank has ended, which what it printed may explain, or does not answer ({error}): make as many "
            "calls on all and start all again, with checkpoint_dir= they go on from the last checkpoint"
        ) from error


def agree(value: int) -> int:
    """Return rank 0's value on all ranks."""
    return int(world.gather(torch.tensor([value], dtype=torch.int64))[0])


def check_alike(identity: Mapping[str, str]) -> None:
    """Raise a ValueError where what has to be the same on all ranks, by name, is not."""
    digests = (hashlib.sha256(value.encode()).digest()[:7] for value in identity.values())
    numbers = world.gather(torch.tensor([[int.from_bytes(digest) for digest in digests]]))
    alike = (numbers == numbers[0]).all(0).tolist()
    if not all(alike):
        others = ", ".join(name for name, same in zip(identity, alike, strict=True) if not same)
        raise ValueError(
            f"fit got other {others} on some ranks than on others: make the same call on all, with all data; "
            "each rank reads its own rows of every batch"
        )


def average_gradients(module: nn.Module) -> None:
    """Average the gradients of a module over the ranks, all in one message."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    averages = world.average(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient in gradients:
        gradient.copy_(averages[: gradient.numel()].view_as(gradient))
        averages = averages[gradient.numel() :]
