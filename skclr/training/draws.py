"""Randomness of a training step: own generators, or torch's global ones, seeded, for modules that use these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch import nn

from skclr.encoders.dropout import Dropout
from skclr.randomness import DrawDetector, global_states, globally_seeded, set_global_states


class StepDraws:
    """Seeds the random numbers that the modules of a step draw.

    The package's own dropout draws from `generator`. A user's module may draw from torch's global generator, as
    functional dropout and `nn.GRU(dropout=...)` do. The first training step detects this; from then on the global
    generators of the CPU and the device are seeded for each step, and restored after it.

    Parameters
    ----------
    device : device of the steps.

    Attributes
    ----------
    generator : generator on the device, seeded for each step.
    draws_globally : whether a module draws from a global generator; None before the first training step.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.generator = torch.Generator(device)
        self.draws_globally: bool | None = None

    @contextmanager
    def seeded(self, seed: int, *, training: bool = True) -> Iterator[None]:
        """Seed the random numbers of the block, a step of training or of validation."""
        self._seed = seed
        self.generator.manual_seed(seed)
        with ExitStack() as stack:
            if self.draws_globally is None:
                notices = stack.enter_context(DrawDetector(lambda: self._seed_globally(stack)))
                yield
                # A module that draws in training may not draw in evaluation.
                self.draws_globally = notices.noticed or (False if training else None)
            else:
                if self.draws_globally:
                    self._seed_globally(stack)
                yield

    @contextmanager
    def used_by(self, module: nn.Module) -> Iterator[None]:
        """Make every `Dropout` of skclr in a module draw from `generator` within the block."""
        layers = [layer for layer in module.modules() if isinstance(layer, Dropout)]
        for layer in layers:
            layer.generator = self.generator
        try:
            yield
        finally:
            for layer in layers:
                layer.generator = None

    def _seed_globally(self, stack: ExitStack) -> None:
        self.draws_globally = True
        stack.enter_context(globally_seeded(self._seed, self.device))

    def replay(self) -> Callable[[], AbstractContextManager[None]]:
        """Return a context that repeats the random numbers drawn from now on."""
        own, seed = self.generator.get_state(), self._seed
        # Until a first draw is detected, the global generators are left to the user; they are seeded right before it.
        states = global_states(self.device) if self.draws_globally else None

        @contextmanager
        def replayed() -> Iterator[None]:
            after = self.generator.get_state()
            self.generator.set_state(own)
            with ExitStack() as stack:
                if self.draws_globally:
                    stack.enter_context(globally_seeded(seed, self.device))
                    if states is not None:
                        set_global_states(self.device, states)
                yield
            self.generator.set_state(after)

        return replayed
