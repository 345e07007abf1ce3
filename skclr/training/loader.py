"""Where dumps of earlier versions look for the class of their batches, before all that has moved since."""

from typing import NoReturn

from skclr.files.dumps import message


def __getattr__(name: str) -> NoReturn:
    if name != "Batches":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise ValueError(message("an earlier version"))
