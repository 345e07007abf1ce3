"""Interruptions of a run from outside: Ctrl-C, a callback that stops it, and lack of memory."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import Any

import torch


class StopTraining(Exception):
    """Raised if a callback asks to stop; the fit ends here and is complete."""


class _CtrlC:
    """Handler of Ctrl-C that defers the first one, and passes a second one on at once.

    Attributes
    ----------
    pending : whether a Ctrl-C was received and not handled yet.
    polled : whether a block checks `pending` itself.
    previous : the handler that was replaced.
    """

    def __init__(self) -> None:
        self.pending = self.polled = False
        self.previous: Callable[[int, FrameType | None], Any] = signal.default_int_handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            self.previous(number, frame)
        self.pending = True


# Signals belong to the process, and only its main thread handles them.
_CTRL_C = _CtrlC()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def ctrl_c_deferred() -> Iterator[None]:
    """Defer Ctrl-C to the end of the block, or to calls of `handle_ctrl_c` in it.

    A KeyboardInterrupt between two instructions would interrupt contexts that restore the state of the process:
    autocast, grad mode, patches, locks. A second Ctrl-C is handled at once. Nested blocks are part of the outermost.
    """
    before = signal.getsignal(signal.SIGINT)
    if not _in_main_thread() or before is _CTRL_C or not callable(before):
        yield
        return
    _CTRL_C.pending, _CTRL_C.previous = False, before
    try:
        signal.signal(signal.SIGINT, _CTRL_C)
        yield
    except KeyboardInterrupt:
        _CTRL_C.pending = False
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        handle_ctrl_c()


def handle_ctrl_c() -> None:
    """Handle a deferred Ctrl-C, by KeyboardInterrupt unless the user installed another handler."""
    if ctrl_c_pending() and not _CTRL_C.polled:
        _CTRL_C.previous(signal.SIGINT, inspect.currentframe())
        _CTRL_C.pending = False


def ctrl_c_pending() -> bool:
    """Return whether a Ctrl-C is pending in this thread."""
    return _CTRL_C.pending and _in_main_thread()


@contextmanager
def ctrl_c_polled() -> Iterator[None]:
    """Leave Ctrl-C to the block, which checks `ctrl_c_pending`; nothing else handles it."""
    if not _in_main_thread():
        yield
        return
    _CTRL_C.polled = True
    try:
        yield
        _CTRL_C.pending = False
    finally:
        _CTRL_C.polled = False


@contextmanager
def stoppable(on_interrupt: str) -> Iterator[None]:
    """Run a block that `StopTraining` ends without an error, and that checks for Ctrl-C itself.

    Parameters
    ----------
    on_interrupt : "keep" leaves Ctrl-C to the block, "raise" handles it at the end of the block.
    """
    with ctrl_c_deferred(), ctrl_c_polled() if on_interrupt == "keep" else nullcontext(), suppress(StopTraining):
        yield


def _in_child() -> None:
    if isinstance(handler := signal.getsignal(signal.SIGINT), _CtrlC):
        # The call that defers it continues only in the parent.
        signal.signal(signal.SIGINT, handler.previous)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch ran out of memory, on an accelerator or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def release_tensors(error: BaseException) -> None:
    """Release the tensors of a failed step, which the frames of a caught error keep alive."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
