"""Functions that torch's compiler leaves out of its graphs."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def uncompiled(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Return a function that computes the same, and that torch.compile does not compile.

    Notes
    -----
    `torch.compiler.disable` imports the compiler, which takes nearly as long as torch itself. This imports it only once
    a function is compiled.
    """

    @wraps(function)
    def called(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        if torch.compiler.is_dynamo_compiling():
            disabled: Callable[_Parameters, _Result] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
            return disabled(*args, **kwargs)
        return function(*args, **kwargs)

    return called
