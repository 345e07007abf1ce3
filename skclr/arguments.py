"""Checks of arguments: types declared by a constructor, numbers, sizes and choices."""

from __future__ import annotations

import collections.abc
import inspect
import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np


def check_types(argument: str, part: Callable[..., Any], params: Mapping[str, Any]) -> None:
    """Raise a ValueError if a value in the dictionary `argument` does not have the type the constructor declares.

    True does not count as a number, nor do NaN and infinity. A list is accepted for a tuple, and an array for a
    sequence.
    """
    hints = _hints_of(part)
    for name, value in params.items():
        if name in hints and not _fits(value, hints[name]):
            kind = getattr(part, "__name__", repr(part))
            raise ValueError(f"{argument}={{{name!r}: {_shortened(value)}}}. {kind} expects {_described(hints[name])}.")


def _hints_of(part: Callable[..., Any]) -> dict[str, Any]:
    function = part.__init__ if inspect.isclass(part) else part
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        # Annotations with names that only type checkers know.
        return {}


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return isinstance(value, str | int) and value in arguments
    if origin in (int, float):
        return not isinstance(value, bool) and isinstance(value, Integral if origin is int else Real) and _finite(value)
    if origin is tuple:
        each = arguments[:1] * len(value) if _is_sequence(value) and arguments[1:] == (...,) else arguments
        return _is_sequence(value) and len(value) == len(each) and all(map(_fits, value, each))
    if origin is collections.abc.Sequence:
        return _is_sequence(value) and all(_fits(entry, arguments[0]) for entry in value)
    if origin is collections.abc.Callable:
        return callable(value)
    return origin is Any or not isinstance(origin, type) or isinstance(value, origin)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # An integer beyond the largest float.
        return False


def _described(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a finite number",
        bool: "True or False",
        str: "a string",
        type(None): "None",
    }
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_described, arguments))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple and ... not in arguments:
        return f"({', '.join(map(_described, arguments))})"
    if origin in (tuple, collections.abc.Sequence):
        return f"a sequence, each entry {_described(arguments[0])}"
    if origin is collections.abc.Callable:
        return "a function"
    return names.get(origin, f"an instance of {getattr(origin, '__name__', origin)}")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_number(name: str, value: Any, least: float, most: float = math.inf, *, whole: bool = False) -> None:
    """Raise a ValueError unless `value` is a number, with `whole` an integer, from `least` to `most`."""
    is_number = isinstance(value, Integral if whole else Real)
    if not (is_number and least <= value <= most):
        limits = f"of {least} or more" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r}: use a {'whole number' if whole else 'number'} {limits}")


def check_pair(name: str, pair: Any, most: float = math.inf) -> None:
    """Raise a ValueError unless `pair` is two increasing numbers above 0 and up to `most`."""
    are_numbers = isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(value, Real) for value in pair)
    if not (are_numbers and 0 < pair[0] <= pair[1] <= most):
        limits = "above 0" if most == math.inf else f"above 0 and up to {most}"
        raise ValueError(f"{name}={pair!r}: use (smallest, largest), both {limits}")


def check_sizes(**sizes: int) -> None:
    """Raise a ValueError unless each size is a whole number of 1 or more."""
    for name, size in sizes.items():
        check_number(name, size, 1, whole=True)


def check_above_zero(**numbers: float) -> None:
    """Raise a ValueError unless each number is above 0."""
    for name, number in numbers.items():
        check_number(name, number, 0)
        if not number:
            raise ValueError(f"{name}={number!r}: use a number above 0")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise a ValueError unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r}: use one of {', '.join(map(repr, choices))}")


def check_temperature(temperature: float) -> None:
    """Raise a ValueError unless a temperature is positive."""
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: use a number above 0, for example 0.1")
