"""The plan of a fit: all open choices are made, and nothing is built yet."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.files.plain import Plain

# Most characters of a value in a line; longer values are cut.
_LONGEST = 60


@dataclass(frozen=True, eq=False)
class Part:
    """Description of a part of a fit: a name, its class and an equivalent instance give equal parts.

    Parameters
    ----------
    make : class or function that creates the part.
    arguments : arguments of `make`, including its defaults, without those that depend on the data.
    facts : arguments that depend on the data, see `skclr.modalities.Modality.facts`, as text by name.
    instance : object to copy, if class and arguments do not describe it, as for a module with weights; or None.
    """

    make: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    instance: Any = None

    @property
    def name(self) -> str:
        """The name of the class or function."""
        made = self.make if self.instance is None else self.instance
        return str(getattr(made, "__name__", type(made).__name__))

    def changed(self) -> dict[str, Any]:
        """Return the arguments that differ from the defaults of `make`."""
        defaults = defaults_of(self.make)
        changes = self.arguments.items()
        return {name: value for name, value in changes if name not in defaults or not same(value, defaults[name])}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Part):
            return NotImplemented
        alike = self.make is other.make and self.instance is other.instance and self.facts.keys() == other.facts.keys()
        return alike and same(self.arguments, other.arguments)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        arguments = {**{name: shown(value) for name, value in self.arguments.items()}, **self.facts}
        inner = ", ".join(f"{name}={text}" for name, text in arguments.items())
        return f"{self.name}({inner})" if self.instance is None else self.name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All choices of a fit, under the names of the estimator's parameters.

    Parameters
    ----------
    modality, encoder, views, framework, optimizer : parts.
    loss : part; None if the framework has its own objective.
    freeze, positives, passthrough, chunk_size, compile, on_interrupt, callbacks, net_params : as in the estimator.
    batch_size : samples per step, over all ranks.
    max_epochs : number of passes over the data.
    learning_rate, weight_decay : settings of the optimiser.
    lr_schedule : function from progress, after the warm-up, to a factor of the learning rate.
    warmup_epochs : number of epochs in which the learning rate grows from zero.
    precision : "float32", "bfloat16" or "float16".
    validation_fraction : share of the samples that is held out.
    early_stopping : epochs without improvement after which training stops; 0 never stops.
    device : device of training.
    random_state : seed that determines all weights, views and shuffles.
    endless : whether this is one part of a stream, where schedules are constant.
    sources : origin of each choice that the user left open, as text by name.
    """

    modality: Part
    encoder: Part
    views: Part
    framework: Part
    loss: Part | None
    positives: str
    freeze: int | str
    passthrough: bool
    batch_size: int
    chunk_size: int | None
    max_epochs: int
    optimizer: Part
    learning_rate: float
    weight_decay: float
    lr_schedule: Callable[[float], float]
    warmup_epochs: float
    validation_fraction: float
    early_stopping: int
    precision: str
    device: torch.device
    compile: bool
    on_interrupt: str
    callbacks: tuple[Any, ...]
    net_params: Mapping[str, Any]
    random_state: int
    endless: bool
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the choices."""
        return [choice.name for choice in fields(cls) if choice.name != "sources"]

    def choices(self) -> dict[str, Any]:
        """Return the choices, by name."""
        return {name: getattr(self, name) for name in self.names()}

    def described(self) -> dict[str, str]:
        """Return the choices as text, with the arguments of parts as `part__argument`.

        It contains no memory addresses, so two processes describe the same plan equally.
        """
        texts: dict[str, str] = {}
        for name, choice in self.choices().items():
            if not isinstance(choice, Part):
                texts[name] = in_words(choice)
                continue
            texts[name] = choice.name if choice.instance is None else in_words(choice.instance)
            arguments = {**choice.arguments, **dict.fromkeys(choice.facts, "from the data")}
            texts |= {f"{name}__{argument}": in_words(value) for argument, value in arguments.items()}
        return texts

    def __repr__(self) -> str:
        lines = []
        for name, choice in self.choices().items():
            text = repr(choice) if isinstance(choice, Part) else shown(choice)
            source = self.sources.get(name)
            lines.append(f"    {name}={text}," + (f"  # {source}" if source else ""))
        return "\n".join(["Plan(", *lines, ")"])


def defaults_of(make: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of the arguments of a class or function."""
    parameters = inspect.signature(make).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def same(one: Any, other: Any) -> bool:
    """Return whether two argument values are equal; objects that cannot be compared only equal themselves."""
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        both = isinstance(one, Tensor) and isinstance(other, Tensor)
        return both and one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, list | tuple | np.ndarray) and isinstance(other, list | tuple | np.ndarray):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Plain) and isinstance(other, Plain):
        return type(one) is type(other) and same(one.state(), other.state())
    equal = one == other
    return isinstance(equal, bool | np.bool_) and bool(equal)


def shown(value: Any) -> str:
    """Return a short description of a value."""
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}"
    if callable(value) and not isinstance(value, Plain):
        return str(getattr(value, "__name__", type(value).__name__))
    text = " ".join(in_words(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def in_words(value: Any) -> str:
    """Return the representation of a value without memory addresses, which differ between processes."""
    if isinstance(value, Plain):
        state = ", ".join(f"{name}={in_words(entry)}" for name, entry in value.state().items())
        return f"{type(value).__name__}({state})"
    if isinstance(value, torch.device):
        return repr(str(value))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
