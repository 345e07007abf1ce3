"""Limits on the resources of a network that an untrusted file describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Largest memory in bytes of one sample on its way through the network.
LARGEST_ACTIVATIONS = 2**30


class TooLargeError(ValueError):
    """Raised if parameters describe a larger network than their file justifies."""


@contextmanager
def bounded(*, n_calls: int, n_bytes: int) -> Iterator[None]:
    """Run a block that builds a network on the meta device, within limits.

    Parameters
    ----------
    n_calls : largest number of calls of torch functions.
    n_bytes : largest size of a tensor in bytes, in addition to what two samples may take.

    Raises
    ------
    TooLargeError : if a limit is exceeded.
    """
    # The outermost context re-enables gradients if the block is stopped within no_grad.
    with (
        torch.enable_grad(),
        torch.device("meta"),
        _CallLimit(n_calls),
        _TensorLimit(max(n_bytes, 2 * LARGEST_ACTIVATIONS)),
    ):
        yield


class _CallLimit(TorchFunctionMode):
    """Stop code with more calls of torch than it should need, such as a network of a billion layers.

    Parameters
    ----------
    n_calls : largest number of calls of torch functions.
    """

    def __init__(self, n_calls: int) -> None:
        super().__init__()
        self.n_calls = n_calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise TooLargeError("the parameters describe a larger network than the file contains")
        return func(*args, **(kwargs or {}))


class _TensorLimit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Stop code whose tensors would take much memory if they had values.

    Parameters
    ----------
    n_bytes : largest size in bytes of the inputs and outputs of an operation, except for parameters.
    """

    def __init__(self, n_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_bytes = n_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        used = {id(x): x.nbytes for x in tree_leaves((args, result)) if isinstance(x, Tensor) and not x.requires_grad}
        if sum(used.values()) > self.n_bytes:
            raise TooLargeError(
                f"a sample would take more than {LARGEST_ACTIVATIONS / 2**30:g} GiB, or the network is larger than "
                "the file"
            )
        return result
