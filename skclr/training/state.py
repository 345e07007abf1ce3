"""Checks of the state of a net from another net, or from a file, which is not trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skclr.training.history import from_columns

_RECORDED = int | float | str | None

# The counters of a state, and their minimum values.
_COUNTERS = {"step": 0, "batch_size": 1, "max_epochs": 0, "seed": 0}


def continue_optimizer(optimizer: torch.optim.Optimizer, other: torch.optim.Optimizer) -> None:
    """Copy the state of another optimiser, but keep the current settings.

    Raises
    ------
    ValueError : if it trained other weights, or is of another type.
    """
    before, now = other.state_dict(), optimizer.state_dict()
    parameters = [[group["params"] for group in state["param_groups"]] for state in (before, now)]
    if type(other) is not type(optimizer) or parameters[0] != parameters[1]:
        raise ValueError(f"the last fit trained other weights, or used another optimizer, {type(other).__name__}")
    optimizer.load_state_dict({**now, "state": before["state"]})


def check_counters(state: Mapping[str, Any]) -> None:
    """Raise a ValueError unless the plain values of a state have valid types and ranges."""
    for name, least in _COUNTERS.items():
        if type(state[name]) is not int or state[name] < least:
            raise ValueError(f"{name}={state[name]!r} is not a number of {least} or more")
    if type(state["endless"]) is not bool:
        raise ValueError(f"endless={state['endless']!r} is not True or False")


def read_history(stored: Any) -> list[dict[str, Any]]:
    """Return the epochs of a stored history.

    Raises
    ------
    ValueError : if training cannot have written it.
    """
    # Earlier versions stored records instead of columns.
    history: list[dict[str, Any]] = from_columns(stored) if isinstance(stored, dict) else stored
    _check_history(history)
    return history


def _check_history(history: Any) -> None:
    """Raise a ValueError unless training can have written the history."""
    for epoch in history:
        if not all(isinstance(name, str) for name in epoch) or type(epoch["train_loss"]) is not float:
            raise ValueError("an epoch has no train_loss")
        for batch in epoch["batches"]:
            if not all(isinstance(name, str) and isinstance(value, _RECORDED) for name, value in batch.items()):
                raise ValueError("a batch of the history contains values that are not numbers")
    if history and type(history[0]["batches"][0]["train_loss"]) is not float:
        raise ValueError("the first batch has no train_loss")


def check_optimizer(optimizer: torch.optim.Optimizer, states: Mapping[int, dict[str, Tensor]]) -> None:
    """Raise a ValueError unless a state matches the one that the optimiser itself would build."""
    parameters = [(p, group) for group in optimizer.param_groups for p in group["params"]]
    expected: dict[tuple[int, int], dict[str, Tensor]] = {}
    for place, values in states.items():
        if type(place) is not int or not 0 <= place < len(parameters):
            raise ValueError(f"the optimiser has no weight {place!r}")
        parameter, group = parameters[place]
        kind = id(group), parameter.ndim
        if kind not in expected:
            expected[kind] = _first_state(type(optimizer), group, parameter)
        _check_state(place, values, expected[kind], parameter)


def _first_state(optimizer: Any, group: dict[str, Any], like: Tensor) -> dict[str, Tensor]:
    """Return the state of an optimiser after one step for a small parameter whose dimensions have size 2."""
    parameter = nn.Parameter(like.new_zeros([2] * like.ndim))
    parameter.grad = torch.zeros_like(parameter)
    settings = {name: value for name, value in group.items() if name != "params"}
    probe = optimizer([{**settings, "params": [parameter]}], lr=settings["lr"])
    probe.step()
    return dict(probe.state[parameter])


def _check_state(place: int, state: dict[str, Tensor], like: dict[str, Tensor], parameter: Tensor) -> None:
    if state.keys() != like.keys():
        raise ValueError(f"the optimiser's state {place} holds {', '.join(map(str, state))}, not {', '.join(like)}")
    for name, value in state.items():
        shape = tuple(parameter.shape[axis] if size == 2 else size for axis, size in enumerate(like[name].shape))
        if value.shape != shape:
            raise ValueError(f"the optimiser's state {place} has a different shape from the weights")
        if value.dtype != like[name].dtype or not value.isfinite().all() or (value.ndim == 0 and value < 0):
            raise ValueError(f"{name} of the optimiser's state {place} is not a finite {like[name].dtype}")
