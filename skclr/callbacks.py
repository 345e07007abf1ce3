"""Support of scikit-learn's callbacks, `set_callbacks(ProgressBar())`: each epoch is a task of `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skclr.model import Model

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    # Base classes of an estimator with callbacks.
    SUPPORT: tuple[type, ...] = (CallbackSupportMixin,)
except ImportError:
    # scikit-learn before 1.9 has no callbacks.
    SUPPORT = ()

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method unchanged."""
        return method


__all__ = ["SUPPORT", "notifying_callbacks", "with_callbacks"]


class EpochNotifier(Callback):
    """Notify scikit-learn's callbacks of the beginning and end of each epoch; one of them may stop the run.

    Parameters
    ----------
    context : scikit-learn's callback context of the fit.
    facts : values available to callbacks, by the names of their hooks.
    """

    def __init__(self, context: Any, facts: dict[str, Any]) -> None:
        self.context = context
        self.facts = facts

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.facts)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.epoch.call_on_fit_task_end(**self.facts):
            # In the way of skorch's own callbacks.
            raise KeyboardInterrupt


@contextmanager
def notifying_callbacks(estimator: Any, y: Any, model: Model, X: Any) -> Iterator[None]:
    """Notify the estimator's callbacks, if it supports any, of the training in the block.

    Parameters
    ----------
    estimator, y, X : values passed to callbacks.
    model : the model that is trained.
    """
    if not SUPPORT:
        yield
        return
    context = estimator._init_callback_context(max_subtasks=model.net.max_epochs)
    # A snapshot is made only if a callback needs it.
    facts = {
        "estimator": estimator,
        "X": X,
        "y": y,
        "reconstruction_attributes": lambda: {"model_": model.snapshot()},
    }
    context.call_on_fit_task_begin(**facts)
    bridge = ("sklearn", EpochNotifier(context, facts))
    model.net.callbacks_.append(bridge)
    try:
        yield
    finally:
        # It refers to X, which a fitted net should not.
        model.net.callbacks_.remove(bridge)
    context.call_on_fit_task_end(**facts)
