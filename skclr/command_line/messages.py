"""Output of the command line, one line each, without characters that terminals interpret."""

from __future__ import annotations

import sys
from typing import TextIO


def printable(text: str) -> str:
    """Return a text as one line, with control characters, direction marks and lone surrogates escaped.

    Names and values of an untrusted file may contain control codes for the terminal.
    """
    one_line = " ".join(text.split("\n"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in one_line)


def echo(text: str, stream: TextIO | None = None) -> None:
    """Print lines, by default to standard output, with characters escaped that its encoding lacks."""
    stream = stream or sys.stdout
    lines = "\n".join(map(printable, text.split("\n")))
    encoding = stream.encoding or "utf-8"
    print(lines.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def echo_error(text: str) -> None:
    """Print one line to standard error."""
    echo(f"skclr: {' '.join(text.split())}", sys.stderr)


def readable_error(error: BaseException) -> str:
    """Return the message of an error, without the error number of the system."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory. Use fewer rows or smaller samples."
    return str(error)
