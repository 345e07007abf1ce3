"""The progress line: epoch, loss, throughput and time left."""

import math
import sys
import time
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

_REFRESH_SECONDS = 0.2
_BAR_WIDTH = 24


def duration(seconds: float) -> str:
    """Return seconds as 0:07, 12:05 or 3:04:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class ProgressLine(Callback):
    """Show training progress in a single line that is updated in place.

    A terminal shows it live; a file or a notebook gets the final line of at most about twenty epochs.
    """

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self._started = self._shown = time.perf_counter()
        self._samples = 0
        self._first_epoch = len(net.history)

    def on_batch_end(self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if training:
            self._samples += net.batch_size
            if sys.stderr.isatty() and time.perf_counter() - self._shown > _REFRESH_SECONDS:
                self._show(net, end="")

    def on_epoch_end(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        epoch = len(net.history) - self._first_epoch
        every = max(1, net.max_epochs // 20)
        if sys.stderr.isatty():
            self._show(net, end="\n" if epoch == net.max_epochs else "")
        elif epoch % every == 0 or epoch == net.max_epochs:
            self._show(net, end="\n")

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        n_epochs = len(net.history) - self._first_epoch
        if n_epochs < net.max_epochs and sys.stderr.isatty():
            sys.stderr.write("\n")
        if n_epochs < net.max_epochs and (reason := self._why_stopped(net)):
            sys.stderr.write(f"{reason}\n")

    def _show(self, net: NeuralNet, end: str) -> None:
        self._shown = time.perf_counter()
        elapsed = self._shown - self._started
        done = (net.step_ - net.first_step_) / (net.max_epochs * net.steps_per_epoch_)
        rate = self._samples / elapsed
        # Not from the number of steps done, of which a checkpoint may have restored some.
        left = (1 - done) * net.max_epochs * net.steps_per_epoch_ * net.batch_size / max(rate, 1e-9)
        bar = "█" * round(done * _BAR_WIDTH)
        parts = [
            f"epoch {len(net.history) - self._first_epoch}/{net.max_epochs}",
            f"[{bar:·<{_BAR_WIDTH}}]",
            *self._losses(net),
            f"{rate:,.0f} samples/s",
            f"{duration(left)} left",
        ]
        start = "\r\033[K" if sys.stderr.isatty() else ""
        sys.stderr.write(start + "  ".join(parts) + end)
        sys.stderr.flush()

    def _why_stopped(self, net: NeuralNet) -> str | None:
        """Return in words how early stopping ended the run; None if something else did."""
        losses = [epoch.get("valid_loss", math.inf) for epoch in net.history[self._first_epoch :]]
        n_epochs, best = len(losses), losses.index(min(losses)) + 1
        if not net.plan.early_stopping or n_epochs - best < net.plan.early_stopping:
            return None
        return (
            f"valid_loss has not improved for {n_epochs - best} epochs: stopped after epoch {n_epochs} of "
            f"{net.max_epochs}, with the weights of epoch {best}"
        )

    @staticmethod
    def _losses(net: NeuralNet) -> list[str]:
        # The loss of the running epoch is still on the device, so that of the last finished epoch is shown.
        finished = [epoch for epoch in net.history[-2:] if "train_loss" in epoch]
        return [
            f"{label} {finished[-1][name]:.4f}"
            for label, name in (("loss", "train_loss"), ("valid", "valid_loss"))
            if finished and name in finished[-1]
        ]
