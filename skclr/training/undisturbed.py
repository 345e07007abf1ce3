"""The context of every public call, which isolates results from the state of the process, and vice versa."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from sklearn import config_context

from skclr.training.interruption import ctrl_c_deferred

_AUTOCAST_DEVICES = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run a block, or a decorated function, under default settings and with Ctrl-C deferred.

    Notes
    -----
    The caller's grad mode, inference mode, autocast, default dtype and device, and scikit-learn's `transform_output`
    have no effect, and are restored.
    """
    with ctrl_c_deferred(), default_settings():
        check_threads()
        yield


# -- settings of libraries ------------------------------------------------------------------------


@contextmanager
def default_settings() -> Iterator[None]:
    """Run the block with gradients, without autocast, in float32 and on the CPU unless it specifies otherwise.

    Transformers of scikit-learn return arrays.
    """
    with ExitStack() as stack:
        stack.enter_context(config_context(transform_output="default"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(_FLOAT32)
        yield


class _DefaultDtype:
    """Set torch's default dtype, shared by all threads, to float32 while at least one thread is in the block."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the threads that are in the block."""
        self.lock = threading.Lock()
        self.n_threads = 0
        self.before = torch.float32

    def __enter__(self) -> None:
        with self.lock:
            if self.n_threads == 0:
                self.before = torch.get_default_dtype()
            self.n_threads += 1
            if torch.get_default_dtype() != torch.float32:
                torch.set_default_dtype(torch.float32)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.n_threads -= 1
            if self.n_threads == 0 and self.before != torch.float32:
                torch.set_default_dtype(self.before)


_FLOAT32 = _DefaultDtype()


# -- forked processes -----------------------------------------------------------------------------


class _Threads:
    """The state of torch's threads in this process.

    Attributes
    ----------
    used : whether a call has computed on several threads.
    lost : whether this is a forked process, without the threads of its parent.
    """

    used = lost = False


def check_threads() -> None:
    """Continue with one thread in a process that was forked after torch had used several.

    OpenMP starts threads once per process, and would wait for ever for those of the parent.
    """
    n_threads = torch.get_num_threads()
    if _Threads.lost and n_threads > 1:
        torch.set_num_threads(1)
        warnings.warn(
            f"this process was forked after torch had used {n_threads} threads, which do not survive a fork, so it "
            "continues with one. Start processes by 'spawn' or 'forkserver' to use more.",
            RuntimeWarning,
            stacklevel=2,
        )
    _Threads.used = _Threads.used or n_threads > 1


def _in_child() -> None:
    _Threads.lost = _Threads.lost or _Threads.used
    if _FLOAT32.n_threads:
        torch.set_default_dtype(_FLOAT32.before)
    _FLOAT32.restart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
