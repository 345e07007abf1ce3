"""The command line: compare, fit, transform and report on files."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : without the name of the program; None for those of the process.

    Returns
    -------
    The exit code.
    """
    # Imported here, since the imports take seconds, during which Ctrl-C must work too.
    with _ended_by_ctrl_c(in_own_process=arguments is None):
        from skclr.command_line.commands import run
    return run(arguments)


@contextmanager
def _ended_by_ctrl_c(*, in_own_process: bool) -> Iterator[None]:
    """End the process on Ctrl-C, since extension modules may lose a KeyboardInterrupt during their import."""
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not (in_own_process and is_main and before is signal.default_int_handler):
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"skclr: interrupted\n")
    os._exit(130)
