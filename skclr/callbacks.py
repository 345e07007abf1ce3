"""scikit-learn's callbacks, `set_callbacks(ProgressBar())`, beside skorch's: each epoch is a task of `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skclr.model import Model

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    # Bases of an estimator with callbacks.
    SUPPORT: tuple[type, ...] = (CallbackSupportMixin,)
except ImportError:
    # scikit-learn before 1.9 has none.
    SUPPORT = ()

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method as it is."""
        return method


__all__ = ["SUPPORT", "announced", "with_callbacks"]


class Announcing(Callback):
    """Tell scikit-learn's callbacks where each epoch begins and ends; one that asks to stop ends the run.

    Parameters
    ----------
    context : scikit-learn's, of the whole fit.
    facts : what callbacks may ask for, by its name in their hooks.
    """

    def __init__(self, context: Any, facts: dict[str, Any]) -> None:
        self.context = context
        self.facts = facts

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.facts)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.epoch.call_on_fit_task_end(**self.facts):
            # As skorch's own callbacks end a run.
            raise KeyboardInterrupt


@contextmanager
def announced(estimator: Any, y: Any, model: Model, X: Any) -> Iterator[None]:
    """Tell the estimator's callbacks, if it supports any, of what the block trains.

    Parameters
    ----------
    estimator, y, X : what callbacks are given.
    model : which the block trains.
    """
    if not SUPPORT:
        yield
        return
    context = estimator._init_callback_context(max_subtasks=model.net.max_epochs)
    # A snapshot is made only for a callback that asks for it.
    facts = {
        "estimator": estimator,
        "X": X,
        "y": y,
        "reconstruction_attributes": lambda: {"model_": model.snapshot()},
    }
    context.call_on_fit_task_begin(**facts)
    bridge = ("sklearn", Announcing(context, facts))
    model.net.callbacks_.append(bridge)
    try:
        yield
    finally:
        # It holds X, which no fitted net should.
        model.net.callbacks_.remove(bridge)
    context.call_on_fit_task_end(**facts)
