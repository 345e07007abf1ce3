"""Bounds on what a network that a stranger's file describes may ask of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Of one sample, on its way through the network.
LARGEST_ACTIVATIONS = 2**30


class TooLargeError(ValueError):
    """Parameters make a network that is larger than its file justifies."""


@contextmanager
def bounded(*, n_calls: int, n_bytes: int) -> Iterator[None]:
    """Run a block that builds a network on the meta device, with bounds on what it asks of torch.

    Parameters
    ----------
    n_calls : most calls of torch's functions.
    n_bytes : most bytes of a tensor, beside what two samples may take.

    Raises
    ------
    TooLargeError : beyond the bounds.
    """
    # The outermost puts gradients back on where what is bounded ends in the middle of a no_grad.
    with (
        torch.enable_grad(),
        torch.device("meta"),
        _FewCalls(n_calls),
        _SmallTensors(max(n_bytes, 2 * LARGEST_ACTIVATIONS)),
    ):
        yield


class _FewCalls(TorchFunctionMode):
    """End code that asks torch for more than it should need, as a network of a billion layers does.

    Parameters
    ----------
    n_calls : most calls of torch's functions.
    """

    def __init__(self, n_calls: int) -> None:
        super().__init__()
        self.n_calls = n_calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise TooLargeError("the parameters make a larger network than the file holds")
        return func(*args, **(kwargs or {}))


class _SmallTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """End code that makes tensors that would take much memory if they had values.

    Parameters
    ----------
    n_bytes : most bytes of what an operation takes and makes, parameters aside.
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
