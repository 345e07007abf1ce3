"""Temporary replacement of the forward method of modules."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn


@contextmanager
def forward_replaced(modules: Iterable[nn.Module], forward: Callable[[Any, Tensor], Tensor]) -> Iterator[None]:
    """Make each module compute `forward(module, x)` within the block.

    Parameters
    ----------
    modules : the modules, each of which may be changed by only one block at a time.
    forward : the replacement, which may call the original as `type(module).forward(module, x)`.

    Notes
    -----
    An attribute of the instance takes precedence over the method of its class, so hooks run as usual, and the module
    keeps its class and parameters, as needed for saving and moving.
    """
    changed = list(modules)
    for module in changed:
        module.forward = partial(forward, module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward
