"""Schedules: pure functions of progress, the fraction of optimiser steps done."""

import math


def cosine(start: float, end: float, progress: float) -> float:
    """Go from `start` to `end` along half a cosine wave.

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
    """Go from `start` at progress 0 to `end` at progress 1 along a straight line."""
    return start + (end - start) * progress
