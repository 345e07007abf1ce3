"""Randomness by counting: what is drawn depends on a seed and a counter, never on what was drawn before."""

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

# Torch has one global generator a device for all threads.
_global_generators = threading.RLock()


def _new_lock() -> None:
    global _global_generators
    _global_generators = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child that is forked while another thread holds the lock would wait for a thread that it does not have.
    os.register_at_fork(after_in_child=_new_lock)


def derive_seeds(n_seeds: int, *numbers: int) -> list[int]:
    """Mix numbers of 0 or more into seeds of 32 bits."""
    seeds: list[int] = np.random.SeedSequence(numbers).generate_state(n_seeds).tolist()
    return seeds


def draw_seed(random_state: Any) -> int:
    """Return the seed that a `random_state` stands for."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


# What draws by the seed of a batch, but for the rows of its own rank alone: functions of views, and modules.
VIEW_FUNCTIONS, MODULES = 0, 1


def rank_seed(generator: torch.Generator, stream: int) -> int:
    """Return a seed for what draws for the rows of this rank alone: it differs between ranks and streams.

    Parameters
    ----------
    generator : of the batch, the same on all ranks.
    stream : `VIEW_FUNCTIONS` or `MODULES`.
    """
    return generator.initial_seed() + stream + 2 * world.rank


# -- code that passes no generator ----------------------------------------------------------------


class DrawsFrom(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Run code that passes no generator, such as torch's weight initialisation, on generators of its own.

    The numbers are those that torch's global generators give after `torch.manual_seed(seed)`; these are neither read
    nor written. It holds for the current thread alone.

    Parameters
    ----------
    seed : of the generators, one for each device.
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
        # A fused kernel: it draws from nothing but the global generator.
        with _borrowed(device) as (*_, borrowed):
            borrowed.set_state(generator.get_state())
            result = op(*args, **kwargs)
            generator.set_state(borrowed.get_state())
        return result

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]


class NoticesDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Act right before the first operation that draws from a global generator, in the current thread.

    Parameters
    ----------
    act : called once, before the operation.

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

    One thread at a time. A thread that draws from them meanwhile changes what the block draws.
    """
    with _borrowed(device) as generators:
        for generator in generators:
            generator.manual_seed(seed)
        yield


@contextmanager
def _borrowed(device: torch.device) -> Iterator[list[torch.Generator]]:
    """Give the global generators of the CPU and, last, of a device, and restore their states after the block."""
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
        generators.append(torch.cuda.default_generators[_indexed(device).index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    return generators


def _indexed(device: torch.device) -> torch.device:
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _device(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Return where an operation runs: on the device that it names, or on that of its first tensor."""
    tensors = (value.device for value in args if isinstance(value, Tensor))
    return _indexed(torch.device(kwargs.get("device") or next(tensors, "cpu")))


def _draws_globally(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an operation is about to draw from a global generator."""
    if torch.Tag.nondeterministic_seeded not in op.tags or kwargs.get("generator") is not None:
        return False
    names = [argument.name for argument in op._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if "dropout_p" in names:
        # Attention carries the tag, and draws for its dropout alone.
        return given.get("dropout_p", 0.0) > 0
    return given.get("generator") is None


@cache
def _with_generator(op: Any) -> Any:
    """Return the overload of a random operation that takes a generator, or None if there is none."""
    names = {argument.name for argument in op._schema.arguments} | {"generator"}
    overloads = [op, *(getattr(op.overloadpacket, name) for name in op.overloadpacket.overloads())]
    return next((o for o in overloads if {argument.name for argument in o._schema.arguments} == names), None)


# -- draws for the rows of a batch ----------------------------------------------------------------
# Every rank draws for the whole batch and takes its share, so that it sees what one process alone would have drawn.


def rand(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw (B, ...) from [0, 1), on the generator's device."""
    return _draw(torch.rand, shape, generator)


def randn(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw normal (B, ...)."""
    return _draw(torch.randn, shape, generator)


def randint(n: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw whole numbers (B, ...) from 0 to n - 1."""
    return _draw(partial(torch.randint, n), shape, generator)


def shuffled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Give each of the rows (B, ...) another's place in the batch."""
    order = torch.randperm(world.size * len(x), generator=generator, device=x.device)
    return world.gather(x)[world.share(order)]


def _draw(draw: Callable[..., Tensor], shape: Sequence[int], generator: torch.Generator) -> Tensor:
    n_rows, *rest = shape
    drawn: Tensor = world.share(draw((world.size * n_rows, *rest), generator=generator, device=generator.device))
    return drawn
