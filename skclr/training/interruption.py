"""What may cut a run short from outside: Ctrl-C, a callback that stops it, and too little memory."""

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
    """A callback asked to stop: the fit ends here, and is whole."""


class _CtrlC:
    """Handler of Ctrl-C that notes the first one, and hands a second one on at once.

    Attributes
    ----------
    came : whether one is noted and not handled yet.
    kept : whether a block looks at `came` itself.
    before : the handler that was there.
    """

    def __init__(self) -> None:
        self.came = self.kept = False
        self.before: Callable[[int, FrameType | None], Any] = signal.default_int_handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            self.before(number, frame)
        self.came = True


# Signals are the process's, and its main thread alone handles them.
_CTRL_C = _CtrlC()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Handle Ctrl-C at the end of the block, or where the block calls `handle_ctrl_c`.

    Between two instructions a KeyboardInterrupt would cut contexts short that restore the state of the process:
    autocast, grad mode, patches, locks. A second Ctrl-C is handled at once. Blocks inside are parts of the outermost.
    """
    before = signal.getsignal(signal.SIGINT)
    if not _in_main_thread() or before is _CTRL_C or not callable(before):
        yield
        return
    _CTRL_C.came, _CTRL_C.before = False, before
    try:
        signal.signal(signal.SIGINT, _CTRL_C)
        yield
    except KeyboardInterrupt:
        _CTRL_C.came = False
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        handle_ctrl_c()


def handle_ctrl_c() -> None:
    """Handle a Ctrl-C that was held back, by KeyboardInterrupt unless the user has a handler of another kind."""
    if ctrl_c_came() and not _CTRL_C.kept:
        _CTRL_C.before(signal.SIGINT, inspect.currentframe())
        _CTRL_C.came = False


def ctrl_c_came() -> bool:
    """Return whether a Ctrl-C is held back from this thread."""
    return _CTRL_C.came and _in_main_thread()


@contextmanager
def ctrl_c_kept() -> Iterator[None]:
    """Leave a Ctrl-C to the block, which looks at `ctrl_c_came`; nothing else handles it."""
    if not _in_main_thread():
        yield
        return
    _CTRL_C.kept = True
    try:
        yield
        _CTRL_C.came = False
    finally:
        _CTRL_C.kept = False


@contextmanager
def stoppable(on_interrupt: str) -> Iterator[None]:
    """Run a block that `StopTraining` ends without an error, and that looks for Ctrl-C itself.

    Parameters
    ----------
    on_interrupt : "keep" leaves a Ctrl-C to the block, "raise" handles it when the block ends.
    """
    with ctrl_c_held_back(), ctrl_c_kept() if on_interrupt == "keep" else nullcontext(), suppress(StopTraining):
        yield


def _in_child() -> None:
    if isinstance(handler := signal.getsignal(signal.SIGINT), _CtrlC):
        # The call that holds it back may go on in the parent alone.
        signal.signal(signal.SIGINT, handler.before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch ran out of memory, on an accelerator or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def free(error: BaseException) -> None:
    """Free what a caught error holds: its frames hold the tensors of the step that failed."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
