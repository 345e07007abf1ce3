"""The module in which dumps of earlier versions look for their first class, to raise an error that explains."""

from typing import NoReturn

from skclr.files.dumps import message


def __getattr__(name: str) -> NoReturn:
    if name != "Batches":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise ValueError(message("an earlier version"))
