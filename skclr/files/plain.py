"""Parts that can be written down without code: as plain values, and arrays of numbers."""

from __future__ import annotations

import inspect
import types
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import numpy as np


class Plain:
    """A part whose state is its settings, under the names of its constructor's arguments, and what it has learned.

    What is learned is plain too (numbers, strings, tuples, lists, dictionaries, arrays, tensors, other plain parts),
    and the class names it, with its type, in an annotation.
    """

    def state(self) -> dict[str, Any]:
        """Give every attribute by its name."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make a part that has a state, which may come from a stranger.

        Raises
        ------
        ValueError, TypeError : for names that the class does not have, for values of other types, and for a state that
            does not fit together.
        """
        names = inspect.signature(cls).parameters
        part = cls(**{name: value for name, value in state.items() if name in names})
        # What is a constant of the class was not learned.
        hints = {name: hint for name, hint in get_type_hints(cls).items() if get_origin(hint) is not ClassVar}
        learned = {name: value for name, value in state.items() if name not in names}
        for name, value in learned.items():
            if name not in hints or not _is_a(value, hints[name]):
                raise ValueError(f"{cls.__name__} has no {name} that is a {type(value).__name__}")
        vars(part).update(learned)
        part.check_state()
        return part

    def check_state(self) -> None:
        """Raise a ValueError where what was learned does not fit together; the types are right."""


def expect(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Raise a ValueError where an array or tensor has another shape or dtype."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} {tuple(array.shape)}, not {dtype} {shape}")


def _is_a(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is_a(value, each) for each in get_args(hint))
    origin = get_origin(hint) or hint
    if hint is Any:
        return True
    if origin is not tuple:
        # True is an int in Python, and no number here.
        return isinstance(value, origin) and (isinstance(value, bool) <= (origin is bool))
    each = get_args(hint)[0]
    return isinstance(value, tuple) and all(_is_a(item, each) for item in value)


def as_python(value: Any) -> Any:
    """Return Python's own value for a numpy scalar, and for those in a dictionary; all else as it is."""
    if isinstance(value, dict):
        return {name: as_python(entry) for name, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value
