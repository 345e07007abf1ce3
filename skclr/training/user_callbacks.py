"""Users' skorch callbacks: those that cannot work here are rejected before training, with an alternative."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    LRScheduler,
    PassthroughScoring,
    TrainEndCheckpoint,
    WandbLogger,
)

# Names recorded in the history of every fit; with validation, valid_loss and valid_loss_best too.
_RECORDED = ("train_loss", "train_loss_best", "dur", "epoch")
_VALIDATION = "with validation only. Set validation_fraction, for example to 0.1, or monitor 'train_loss'"


def is_callback(value: Any) -> bool:
    """Return whether a value is a skorch callback: an object, a class or a tuple (name, callback)."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    return isinstance(value, Callback) or (isinstance(value, type) and issubclass(value, Callback))


def prepare_callbacks(callbacks: Sequence[Any], *, validates: bool) -> list[tuple[str, Callback] | Callback]:
    """Return copies of the user's callbacks, since skorch changes them, with classes instantiated.

    Parameters
    ----------
    callbacks : values for which `is_callback` is True.
    validates : whether there is a valid_loss, from held-out samples.

    Raises
    ------
    ValueError : if a callback would have no effect, or fail in training; the message names an alternative.
    """
    prepared = [_as_object(entry) for entry in copy.deepcopy(list(callbacks))]
    objects = [entry[1] if isinstance(entry, tuple) else entry for entry in prepared]
    names = [entry[0] for entry in prepared if isinstance(entry, tuple)]
    taken = [name for name in names if names.count(name) > 1 or name in ("epoch_timer", "train_loss", "valid_loss")]
    if taken:
        raise ValueError(f"callbacks has the name {taken[0]!r}, which is taken. Give each callback its own name.")
    # A user-defined callback may record anything.
    records_more = any(not type(callback).__module__.startswith("skorch.") for callback in objects)
    for callback in objects:
        if fault := _fault(callback, validates=validates, records_more=records_more):
            raise ValueError(f"callbacks has {type(callback).__name__}, {fault}.")
    return prepared


def _as_object(entry: Any) -> Any:
    if isinstance(entry, tuple):
        return entry[0], _as_object(entry[1])
    if not isinstance(entry, type):
        return entry
    try:
        return entry()
    except TypeError as error:
        raise ValueError(f"callbacks has the class {entry.__name__}, which needs arguments. Pass an object.") from error


def _fault(callback: Callback, *, validates: bool, records_more: bool) -> str:
    """Return why a callback cannot work here, and what to do instead; "" if it can."""
    match callback:
        case LRScheduler():
            return (
                "but the learning rate is set before every step from lr_schedule. Use lr_schedule='cosine', 'linear', "
                "'constant' or a function of progress"
            )
        case BatchScoring():
            return "but the net predicts no labels to score. Use your own Callback with on_batch_end"
        case EpochScoring():
            return _scoring_fault(callback, validates=validates)
        case InputShapeSetter():
            return "but the encoder already has the shape of X. Remove it"
        case PassthroughScoring(name=name, on_train=on_train):
            if (name, on_train) == ("train_loss", False):
                return "but train_loss exists for training batches only. Set on_train=True, or remove it"
            known = records_more or (name, on_train) in (("train_loss", True), ("valid_loss", False))
            if not known:
                return f"but batches do not record {name!r}. Use 'train_loss' or 'valid_loss'"
            return "" if on_train or validates else f"which acts {_VALIDATION}"
        case WandbLogger(save_model=True) if not validates:
            return "whose save_model acts with validation only. Set validation_fraction, or save_model=False"
        case EarlyStopping(monitor=monitor) | Checkpoint(monitor=monitor):
            fault = _monitor_fault(monitor, validates=validates, records_more=records_more)
            return fault or _pickle_fault(callback)
        case TrainEndCheckpoint():
            return _pickle_fault(callback)
    return ""


def _scoring_fault(callback: EpochScoring, *, validates: bool) -> str:
    if not callable(callback.scoring):
        return (
            f"but the net predicts no labels to score by {callback.scoring!r}. Pass a function of (net, X, y) with "
            "use_caching=False, or score transform(X) by skclr.evaluation"
        )
    if callback.use_caching:
        return "but there are no predictions to cache. Set use_caching=False"
    return (
        ""
        if callback.on_train or validates
        else f"which acts {_VALIDATION[: _VALIDATION.index(', or')]}, or on_train=True"
    )


def _monitor_fault(monitor: Any, *, validates: bool, records_more: bool) -> str:
    if monitor is None or callable(monitor) or monitor in _RECORDED or records_more:
        return ""
    if monitor not in ("valid_loss", "valid_loss_best"):
        return f"but nothing records monitor={monitor!r}. Monitor 'train_loss' or, with validation, 'valid_loss'"
    return "" if validates else f"whose monitor={monitor!r} is recorded {_VALIDATION}"


def _pickle_fault(callback: Any) -> str:
    if getattr(callback, "f_pickle", None) is None:
        return ""
    return "but a net in training cannot be pickled (f_pickle). Use checkpoint_dir, or save the fitted embedder"
