"""scikit-learn's callbacks, `set_callbacks(ProgressBar())`, beside skorch's: each epoch is a task of `fit`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skclr.training import ContrastiveNet

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    # scikit-learn before 1.9 has none.
    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks of scikit-learn's."""

        def _init_callback_context(self) -> None: ...

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Give the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "announced", "with_callbacks"]


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
def announced(
    estimator: Any, net: ContrastiveNet, X: Any, y: Any, fitted: Callable[[ContrastiveNet], dict[str, Any]]
) -> Iterator[None]:
    """Tell the estimator's callbacks, if scikit-learn has set up any, of what the block trains.

    Parameters
    ----------
    estimator, X, y : what callbacks are given.
    net : which the block trains.
    fitted : gives the attributes that the estimator would have if the net it gets were its own.
    """
    context = getattr(estimator, "_callback_fit_ctx", None)
    if context is None:
        yield
        return
    context.max_subtasks = net.max_epochs
    # Made only for a callback that asks for it.
    facts = {"estimator": estimator, "X": X, "y": y, "reconstruction_attributes": lambda: fitted(still(net))}
    context.call_on_fit_task_begin(**facts)
    bridge = ("sklearn", Announcing(context, facts))
    net.callbacks_.append(bridge)
    try:
        yield
    finally:
        # It holds X, which no fitted net should.
        net.callbacks_.remove(bridge)
    context.call_on_fit_task_end(**facts)


def still(net: ContrastiveNet) -> ContrastiveNet:
    """Give the net as it is now, for embedding: training does not move it on."""
    now = object.__new__(type(net))
    now.__dict__.update(vars(net), module_=copy.deepcopy(net.module_))
    return now
