"""Schedules: pure functions of progress, the fraction of optimiser steps done."""

import math
from collections.abc import Callable


def cosine(start: float, end: float, progress: float) -> float:
    """Return the value at `progress` on half a cosine wave from `start` to `end`.

    Parameters
    ----------
    start, end : values at progress 0 and 1.
    progress : fraction of optimiser steps done, in [0, 1].

    Returns
    -------
    The value at `progress`.

    References
    ----------
    Loshchilov and Hutter 2017, eq. 5, without restarts. Differs: none.
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def linear(start: float, end: float, progress: float) -> float:
    """Return the value at `progress` on a straight line from `start` to `end`."""
    return start + (end - start) * progress


# -- learning rate -------------------------------------------------------------------------------


def cosine_decay(progress: float) -> float:
    """Return a factor that decays from 1 to 0 along half a cosine wave."""
    return cosine(1.0, 0.0, progress)


def linear_decay(progress: float) -> float:
    """Return a factor that decays from 1 to 0 along a straight line."""
    return linear(1.0, 0.0, progress)


def constant(progress: float) -> float:
    """Return 1."""
    return 1.0


LR_SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": cosine_decay,
    "linear": linear_decay,
    "constant": constant,
}


class WarmupThen:
    """Linear warm-up from nearly zero, then a decay.

    Parameters
    ----------
    decay : maps progress in [0, 1), counted from the end of the warm-up, to a factor.
    warmup_epochs : length of the warm-up.
    max_epochs : length of the run, which the warm-up cannot exceed.

    References
    ----------
    Goyal et al. 2017, sec. 2.2; Loshchilov and Hutter 2017. Differs: none.
    """

    def __init__(self, decay: Callable[[float], float], warmup_epochs: float, max_epochs: int) -> None:
        self.decay = decay
        self.warmup_epochs = warmup_epochs
        self.max_epochs = max_epochs

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the factor for a step.

        Parameters
        ----------
        step : number of the step, from 0.
        total_steps : length of the run; 0 for an endless stream, where the rate stays constant.

        Returns
        -------
        The factor of the base learning rate.
        """
        if not total_steps:
            return 1.0
        warmup_steps = round(min(self.warmup_epochs / self.max_epochs, 1) * total_steps)
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return self.decay((step - warmup_steps) / (total_steps - warmup_steps))
