"""What every public call runs in, so that the state of the process changes no result and no call changes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skclr.training.interruption import ctrl_c_held_back
from skclr.training.settings import check_threads, default_settings


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run a block, or as a decorator a call, under torch's default settings, with Ctrl-C held back.

    Notes
    -----
    Grad mode, inference mode, autocast, default dtype and device of the caller do not matter, and are restored.
    """
    with ctrl_c_held_back(), default_settings():
        check_threads()
        yield
