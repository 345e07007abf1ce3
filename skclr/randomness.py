"""Counter-based randomness: random numbers depend on a seed and a counter, never on earlier draws."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from skclr.ranks.collectives import world

# Torch has one global generator per device, shared by all threads.
_global_generators = threading.RLock()


def _new_lock() -> None:
    global _global_generators
    _global_generators = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child forked while another thread holds the lock would wait for a thread that it does not have.
    os.register_at_fork(after_in_child=_new_lock)


def derive_seeds(n_seeds: int, *numbers: int) -> list[int]:
    """Return 32-bit seeds derived from non-negative numbers."""
    seeds: list[int] = np.random.SeedSequence(numbers).generate_state(n_seeds).tolist()
    return seeds


def draw_seed(random_state: Any) -> int:
    """Return the seed for a `random_state`."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


# Streams of randomness that draw from the seed of a batch only for the rows of their own rank.
VIEW_FUNCTIONS, MODULES = 0, 1


def rank_seed(generator: torch.Generator, stream: int) -> int:
    """Return a seed for draws for the rows of this rank only, which differs between ranks and streams.

    Parameters
    ----------
    generator : generator of the batch, the same on all ranks.
    stream : `VIEW_FUNCTIONS` or `MODULES`.
    """
    return generator.initial_seed() + stream + 2 * world.rank


# -- code that passes no generator ----------------------------------------------------------------


class LocalGenerators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Run code that passes no generator, such as torch's weight initialisation, with its own generators.

    The random numbers are those of torch's global generators after `torch.manual_seed(seed)`, but these generators are
    neither read nor changed. Affects only the current thread.

    Parameters
    ----------
    seed : seed of the generators, one per device.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        device = _device(args, kwargs)
        if device.type == "meta" or not _draws_globally(op, args, kwargs):
            return op(*args, **kwargs)
        generator = self._generator(device)
        if overload := _with_generator(op):
            return overload(*args, **{**kwargs, "generator": generator})
        # A fused kernel, which can draw only from the global generator.
        with _preserved_generators(device) as (*_, borrowed):
            borrowed.set_state(generator.get_state())
            result = op(*args, **kwargs)
            generator.set_state(borrowed.get_state())
        return result

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]


class DrawDetector(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Call a function right before the first operation that draws from a global generator in this thread.

    Parameters
    ----------
    act : function that is called once, before the operation.

    Attributes
    ----------
    noticed : whether there was such an operation.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.act = act
        self.noticed = False

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.noticed and _draws_globally(op, args, kwargs):
            self.noticed = True
            self.act()
        return op(*args, **kwargs)


@contextmanager
def globally_seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators of the CPU and of a device, and restore them after the block.

    Only one thread at a time may do so. Another thread that draws from them meanwhile changes the numbers of the block.
    """
    with _preserved_generators(device) as generators:
        for generator in generators:
            generator.manual_seed(seed)
        yield


@contextmanager
def _preserved_generators(device: torch.device) -> Iterator[list[torch.Generator]]:
    """Yield the global generators of the CPU and, last, of a device, and restore their states after the block."""
    with _global_generators:
        states = global_states(device)
        try:
            yield _generators_of(device)
        finally:
            set_global_states(device, states)


def global_states(device: torch.device) -> list[Tensor]:
    """Return the states of the global generators of the CPU and of a device."""
    return [generator.get_state() for generator in _generators_of(device)]


def set_global_states(device: torch.device, states: Sequence[Tensor]) -> None:
    """Restore what `global_states` returned."""
    for generator, state in zip(_generators_of(device), states, strict=True):
        generator.set_state(state)


def _generators_of(device: torch.device) -> list[torch.Generator]:
    generators = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        generators.append(torch.cuda.default_generators[_with_index(device).index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    return generators


def _with_index(device: torch.device) -> torch.device:
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _device(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Return the device of an operation: the one that it names, or that of its first tensor."""
    tensors = (value.device for value in args if isinstance(value, Tensor))
    return _with_index(torch.device(kwargs.get("device") or next(tensors, "cpu")))


def _draws_globally(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether an operation draws from a global generator."""
    if torch.Tag.nondeterministic_seeded not in op.tags or kwargs.get("generator") is not None:
        return False
    names = [argument.name for argument in op._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if "dropout_p" in names:
        # Attention has the tag, but draws only for dropout.
        return given.get("dropout_p", 0.0) > 0
    return given.get("generator") is None


@cache
def _with_generator(op: Any) -> Any:
    """Return the overload of a random operation that takes a generator, or None if there is none."""
    names = {argument.name for argument in op._schema.arguments} | {"generator"}
    overloads = [op, *(getattr(op.overloadpacket, name) for name in op.overloadpacket.overloads())]
    return next((o for o in overloads if {argument.name for argument in o._schema.arguments} == names), None)


# -- draws for the rows of a batch ----------------------------------------------------------------
# Every rank draws for the whole batch and takes its share, so that the numbers are those of a single process.


def rand(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw (B, ...) from [0, 1), on the generator's device."""
    return _draw(torch.rand, shape, generator)


def randn(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw (B, ...) from the normal distribution."""
    return _draw(torch.randn, shape, generator)


def randint(n: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw integers (B, ...) from 0 to n - 1."""
    return _draw(partial(torch.randint, n), shape, generator)


def shuffled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return the rows (B, ...) of the batch in random order."""
    order = torch.randperm(world.size * len(x), generator=generator, device=x.device)
    return world.gather(x)[world.share(order)]


def _draw(draw: Callable[..., Tensor], shape: Sequence[int], generator: torch.Generator) -> Tensor:
    n_rows, *rest = shape
    drawn: Tensor = world.share(draw((world.size * n_rows, *rest), generator=generator, device=generator.device))
    return drawn
