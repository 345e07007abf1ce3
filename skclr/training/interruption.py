"""What may cut a run short: Ctrl-C, a loss that is no number any more or explodes, and too little memory."""

from __future__ import annotations

import copy
import gc
import inspect
import math
import os
import signal
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.history import History
from torch import Tensor

# So many times the untrained network's: no run that learns comes near, and none that was there has come back.
_MOST_GROWTH = 100.0


class StopTraining(Exception):
    """A callback asked to stop: the fit ends here, and is whole."""


class Diverged(FloatingPointError):
    """The loss explodes, or it or the weights are no finite numbers any more."""


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
    """Leave a Ctrl-C to the block, which looks at `ctrl_c_came`; nothing else comes of it."""
    if not _in_main_thread():
        yield
        return
    _CTRL_C.kept = True
    try:
        yield
        _CTRL_C.came = False
    finally:
        _CTRL_C.kept = False


def _in_child() -> None:
    if isinstance(handler := signal.getsignal(signal.SIGINT), _CtrlC):
        # The call that holds it back may go on in the parent alone.
        signal.signal(signal.SIGINT, handler.before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def largest_loss(history: History) -> float:
    """Give the training loss beyond which a run has diverged: a hundred times that of its first step, or of 1."""
    return _MOST_GROWTH * max(1.0, abs(history[0]["batches"][0]["train_loss"]))


class LastGood:
    """The weights at the ends of the last epochs, to go back to where the loss stops being finite, or explodes."""

    def __init__(self) -> None:
        # Two: the weights at the end of the last epoch may be those that gave the bad loss.
        self._states: deque[tuple[int, int, dict[str, Any]]] = deque(maxlen=2)

    def remember(self, net: NeuralNet) -> None:
        """Keep a copy of the net's weights."""
        state = net.module_.state_dict()
        copied = {name: v.clone() if isinstance(v, Tensor) else copy.deepcopy(v) for name, v in state.items()}
        self._states.append((len(net.history), net.step_, copied))

    def go_back(self, net: NeuralNet, error: Diverged) -> None:
        """Give the net the last weights whose loss was good, and warn of `error`; raise it where there are none."""
        batches = net.history[-1]["batches"]
        good = batches and -math.inf < batches[0]["train_loss"] <= largest_loss(net.history)
        if batches and not good and self._states:
            self._states.pop()
        if not self._states:
            raise error
        n_epochs, net.step_, state = self._states.pop()
        net.module_.load_state_dict(state)
        del net.history_[n_epochs:]
        warnings.warn(
            f"{error}. Training ended there, and the weights are those of step {net.step_}, after epoch {n_epochs}",
            ConvergenceWarning,
            stacklevel=2,
        )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether torch found no memory, on an accelerator or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def free(error: BaseException) -> None:
    """Let go of what a caught error holds: its frames hold the tensors of the step that failed."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
