"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends, at once and whole.

    Until then, and where the block raises, what was at `path` is as it was. A process that is killed leaves
    at most its unfinished file, hidden beside `path` under a name that ends in .tmp.

    Parameters
    ----------
    path : of the file; its folder has to be there. Of a link the file that it leads to is replaced.

    Yields
    ------
    The new file, open for writing.

    Raises
    ------
    OSError : where the file cannot be written, as on a full disk; nothing has changed then.
    """
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            # The name must not reach the disk before the bytes.
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the file's new name last through a loss of power; Windows has no such call for folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
