"""Parts that can be serialised without code, as plain values and arrays."""

from __future__ import annotations

import inspect
import types
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import numpy as np


class Plain:
    """Base class of parts whose state is their constructor's arguments, by name, and what they have learned.

    Learned state is plain too (numbers, strings, tuples, lists, dictionaries, arrays, tensors, other plain parts), and
    the class declares it with its type in an annotation.
    """

    def state(self) -> dict[str, Any]:
        """Return all attributes by name."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build a part from its state, which need not be trusted.

        Raises
        ------
        ValueError, TypeError : if a name is unknown to the class, a value has another type, or the state is
            inconsistent.
        """
        names = inspect.signature(cls).parameters
        part = cls(**{name: value for name, value in state.items() if name in names})
        # Constants of the class are not learned state.
        hints = {name: hint for name, hint in get_type_hints(cls).items() if get_origin(hint) is not ClassVar}
        learned = {name: value for name, value in state.items() if name not in names}
        for name, value in learned.items():
            if name not in hints or not _is_a(value, hints[name]):
                raise ValueError(f"{cls.__name__} has no {name} of type {type(value).__name__}")
        vars(part).update(learned)
        part.check_state()
        return part

    def check_state(self) -> None:
        """Raise a ValueError if the learned state is inconsistent; its types have been checked."""


def check_learned_array(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Raise a ValueError unless an array or tensor has the given shape and dtype."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} {tuple(array.shape)}, not {dtype} {shape}")


def _is_a(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is_a(value, each) for each in get_args(hint))
    origin = get_origin(hint) or hint
    if hint is Any:
        return True
    if origin is not tuple:
        # True is an int in Python, but does not count as a number here.
        return isinstance(value, origin) and (isinstance(value, bool) <= (origin is bool))
    each = get_args(hint)[0]
    return isinstance(value, tuple) and all(_is_a(item, each) for item in value)


def as_python(value: Any) -> Any:
    """Return numpy scalars, also within a dictionary, as Python values, and anything else unchanged."""
    if isinstance(value, dict):
        return {name: as_python(entry) for name, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value
