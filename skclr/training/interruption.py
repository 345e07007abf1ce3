"""What may cut a run short: Ctrl-C, a loss that is no number any more or explodes, and too little memory."""

from __future__ import annotations

import copy
import gc
import math
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


@contextmanager
def at_ctrl_c(act: Callable[[], None], *, swallow: bool) -> Iterator[None]:
    """Let the first Ctrl-C in the block call `act`; a second one is handled as ever.

    Outside the main thread, which alone is told of Ctrl-C, nothing changes.

    Parameters
    ----------
    act : called between two instructions of whatever runs.
    swallow : whether that is all; otherwise the first one is handled as ever too.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        act()
        if not swallow:
            before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
