"""Divergence: the loss explodes, or the loss or a weight is no longer finite."""

from __future__ import annotations

import copy
import math
import statistics
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any, NoReturn

from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.history import History
from torch import Tensor, nn

# Divergence threshold, as a multiple of the initial loss: no run that learned came near, and none beyond it recovered.
_MOST_GROWTH = 100.0


class Diverged(FloatingPointError):
    """The loss explodes, or the loss or a weight is no longer finite."""


def check_losses(net: NeuralNet, name: str, values: Sequence[float]) -> None:
    """Raise Diverged unless the losses of the last batches are finite."""
    if not all(map(math.isfinite, values)):
        _raise(net, f"{name} became {next(v for v in values if not math.isfinite(v))}")


def check_epoch(net: NeuralNet) -> None:
    """Raise Diverged if the loss of the last epoch exploded, or a weight is not finite."""
    # The median, since a single batch of unusual rows is not divergence.
    loss = statistics.median(b["train_loss"] for b in net.history[-1]["batches"] if "train_loss" in b)
    if loss > (largest := largest_loss(net.history)):
        _raise(net, f"train_loss grew to {loss:.3g}, beyond {largest:.3g}, a hundred times its initial value,")
    if not nn.utils.get_total_norm(net.module_.parameters()).isfinite():
        _raise(net, "a weight became infinite or NaN")


def _raise(net: NeuralNet, what: str) -> NoReturn:
    raise Diverged(
        f"{what} in epoch {len(net.history)}: lower learning_rate (now {net.lr:g}), raise the loss's "
        "temperature, or use precision='float32'"
    )


def largest_loss(history: History) -> float:
    """Return the training loss beyond which a run has diverged: 100 times its initial value, at least 100."""
    return _MOST_GROWTH * max(1.0, abs(history[0]["batches"][0]["train_loss"]))


class LastGoodWeights:
    """The weights at the ends of the last epochs, restored when the loss explodes or is no longer finite."""

    def __init__(self) -> None:
        # Two, since the weights at the end of the last epoch may have caused the bad loss.
        self._states: deque[tuple[int, int, dict[str, Any]]] = deque(maxlen=2)

    def remember(self, net: NeuralNet) -> None:
        """Keep a copy of the net's weights."""
        state = net.module_.state_dict()
        copied = {name: v.clone() if isinstance(v, Tensor) else copy.deepcopy(v) for name, v in state.items()}
        self._states.append((len(net.history), net.step_, copied))

    def restore(self, net: NeuralNet, error: Diverged) -> None:
        """Restore the last weights with a good loss and warn about `error`, or raise it if there are none."""
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
            f"{error}. Training stopped, and the weights of step {net.step_}, after epoch {n_epochs}, were restored",
            ConvergenceWarning,
            stacklevel=2,
        )
