"""What the command line prints: one line each, of characters that every terminal shows and none obeys."""

from __future__ import annotations

import sys
from typing import TextIO


def printable(text: str) -> str:
    """Return a text in one line, with control characters, marks of direction and lone surrogates escaped.

    Names and values of a stranger's file may hold codes that a terminal obeys.
    """
    one_line = " ".join(text.split("\n"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in one_line)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print lines, by default to the standard output; what its encoding lacks is escaped."""
    stream = stream or sys.stdout
    lines = "\n".join(map(printable, text.split("\n")))
    encoding = stream.encoding or "utf-8"
    print(lines.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def complain(text: str) -> None:
    """Print one line to the standard error."""
    say(f"skclr: {' '.join(text.split())}", sys.stderr)


def readable_error(error: BaseException) -> str:
    """Return what went wrong, without the number of a system's error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"memory ran out: {error}" if str(error) else "memory ran out. Use fewer rows or smaller samples."
    return str(error)
