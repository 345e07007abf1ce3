"""The one way in which the forward of a module is changed for the duration of a block."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn


@contextmanager
def forward_replaced(modules: Iterable[nn.Module], forward: Callable[[Any, Tensor], Tensor]) -> Iterator[None]:
    """Let each module compute `forward(module, x)` within the block.

    Parameters
    ----------
    modules : each is changed at most once at a time.
    forward : calls `type(module).forward(module, x)` for what it replaces.

    Notes
    -----
    The attribute of the instance is found before the method of its class, so hooks run as usual, and the module keeps
    its class and parameters for files and other devices.
    """
    changed = list(modules)
    for module in changed:
        module.forward = partial(forward, module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward
