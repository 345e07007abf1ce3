"""Data-parallel training of one model in the processes started by torchrun, by torch.distributed."""

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

from skclr.ranks.collectives import sharing_batches, world

if dist.is_available():
    # Optimisers import this module. The defaults of its functions keep a reference to the group that exists at that
    # time, and a referenced group cannot be left: the other ranks would wait for ever.
    from torch.distributed.nn import functional

    for function in vars(functional).values():
        if isinstance(function, FunctionType) and function.__defaults__:
            function.__defaults__ = tuple(
                None if isinstance(default, dist.ProcessGroup) else default for default in function.__defaults__
            )

# Whether this process has left its group after an error. In a second group, torch would wait for the others for ever.
_left = False

# Held during a fit: messages are matched by their order, so those of two fits would be mixed up.
_fitting = threading.RLock()


@contextmanager
def data_parallel() -> Iterator[None]:
    """Train together with the other processes started by a launcher, if any, within the block.

    Raises
    ------
    ConnectionError : if another rank has ended, or this one has left the group after an earlier error.
    RuntimeError : if another thread of this process is in such a fit.

    Notes
    -----
    Workers of joblib inherit the launcher's environment, but do not belong to the group: fits there are independent.
    """
    if _is_job() or not _is_rank():
        yield
        return
    if not _fitting.acquire(blocking=False):
        raise RuntimeError(
            "another thread of this rank is in a fit, and ranks train one model at a time. Fit one after the other, or "
            "without torchrun."
        )
    try:
        _join()
        with sharing_batches():
            try:
                yield
                # Wait until rank 0 has written its files.
                broadcast(0)
            except BaseException as error:
                _leave(error)
                raise
    finally:
        _fitting.release()


def _is_job() -> bool:
    """Return whether this call runs as a job of joblib."""
    backend, _ = get_active_backend()
    # Jobs of dask are at level 0, under dask's own backend.
    return bool(backend.nesting_level) or isinstance(backend, BACKENDS.get("dask", ()))


def _is_rank() -> bool:
    """Return whether this process belongs to a group, or its environment defines one."""
    return dist.is_available() and (dist.is_initialized() or int(os.environ.get("WORLD_SIZE", 1)) > 1)


def _join() -> None:
    """Initialise torch's process group, once per process."""
    if dist.is_initialized():
        return
    if _left:
        raise ConnectionError("this rank has left the others after an error in an earlier fit. Restart all ranks.")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    # NCCL between accelerators, gloo between hosts.
    dist.init_process_group()
    atexit.register(_destroy_group)


def _destroy_group() -> None:
    """Destroy the group and its threads, which may abort an interpreter that exits before them."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _leave(error: BaseException) -> None:
    """Leave the group, so that ranks that wait for this one raise an error."""
    global _left
    if world.size == 1:
        return
    _left = True
    _destroy_group()
    if isinstance(error, dist.DistError) or "gloo" in str(error):
        raise ConnectionError(
            f"another rank has ended, or does not answer ({error}). See its output, make the same calls on all ranks, "
            "and restart all; with checkpoint_dir= they resume from the last checkpoint."
        ) from error


def broadcast(value: int) -> int:
    """Return rank 0's value on all ranks."""
    return int(world.gather(torch.tensor([value], dtype=torch.int64))[0])


def check_same_on_ranks(identity: Mapping[str, str]) -> None:
    """Raise a ValueError that names the values that differ between ranks."""
    digests = (hashlib.sha256(value.encode()).digest()[:7] for value in identity.values())
    numbers = world.gather(torch.tensor([[int.from_bytes(digest) for digest in digests]]))
    alike = (numbers == numbers[0]).all(0).tolist()
    if not all(alike):
        others = ", ".join(name for name, same in zip(identity, alike, strict=True) if not same)
        raise ValueError(
            f"fit got different {others} on different ranks. Make the same call with all data on each; every rank "
            "reads its own rows of a batch."
        )


def average_gradients(module: nn.Module) -> None:
    """Average the gradients of a module over the ranks in a single message."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    averages = world.average(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient in gradients:
        gradient.copy_(averages[: gradient.numel()].view_as(gradient))
        averages = averages[gradient.numel() :]
