"""A large array on disk that is written block by block, and can be resumed after a process was killed."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from skclr.files.atomic import check_writable, keep_access, remove_unfinished, replacing, sync_folder

_DTYPE = np.dtype("<f4")
_LONGEST_NAME = 255
_ZEROS = bytes(2**20)


class ResumableArray:
    """An (n, d) float32 array in numpy's format, written in the order of its rows within a `with` block.

    Until all rows are written, they are in `path` + ".part", and `path` + ".part.json" (the notes) records how many
    there are. Disk space is reserved at the beginning. The notes are replaced atomically after each block, once its
    rows are on disk, so a process may be killed at any point. A part without matching notes is started again. At the
    end of the `with` block the file gets its final name; if the block raises before any row is written, no file is
    left.

    Parameters
    ----------
    path : path of the file; see `check_writable`.
    shape : (n, d).
    run : what must be unchanged for rows of an earlier call to be kept: strings and numbers by name.
    block_rows : number of rows in a block, if this is the first call.

    Attributes
    ----------
    n_done : number of rows written.
    block_rows : number of rows in a block, as in the first call.

    Raises
    ------
    ValueError : if the unfinished file belongs to another `run`.
    OSError : if the file cannot be written, or the disk has not enough space for all of it.
    BlockingIOError : if another process is writing the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], shape: tuple[int, int], run: Mapping[str, Any], block_rows: int
    ) -> None:
        self.path = check_writable(path)
        self.part, self.notes = (_with_ending(self.path, ending) for ending in (".part", ".part.json"))
        for file in (self.part, self.notes):
            check_writable(file, follow=False)
        self.shape = shape
        self.run = dict(run)
        self.block_rows = block_rows
        self.n_done = 0
        self._inputs = ""
        self._header = _header(shape)

    def __enter__(self) -> Self:
        self._file = self._open_part()
        try:
            # Only while locked: otherwise, another process might begin a new file between the two.
            notes = self._read_notes()
            if notes is not None and self._fits():
                self.n_done, self.block_rows, self._inputs = notes
            else:
                self._start()
        except BaseException:
            # An empty file was just created by this call; its notes belong to another run.
            if self._is_ours() and self._size_on_disk() == 0:
                self._unlink_part()
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing the file releases the lock.
        try:
            if kind is None:
                self._finish()
            elif self.n_done == 0:
                self._discard()
        finally:
            self._file.close()

    def append(self, rows: np.ndarray, inputs: str) -> None:
        """Write the next rows.

        Parameters
        ----------
        rows : (B, d); B is `block_rows`, except in the last block.
        inputs : hash of all inputs of the rows up to these; checked when another process resumes.
        """
        self._file.seek(len(self._header) + self.n_done * self.shape[1] * _DTYPE.itemsize)
        self._file.write(np.ascontiguousarray(rows, _DTYPE).data)
        self._file.flush()
        # The rows must reach the disk before the notes.
        os.fsync(self._file.fileno())
        self._check_ours()
        self._write_notes(self.n_done + len(rows), inputs)
        self.n_done += len(rows)

    def check_inputs(self, inputs: str) -> None:
        """Raise a ValueError unless the written rows were computed from the same inputs."""
        if inputs != self._inputs:
            raise ValueError(self._mismatch("X"))

    # -- the unfinished file ----------------------------------------------------------------------------

    def _open_part(self) -> BinaryIO:
        """Open and lock the unfinished file, or a new, empty one."""
        if self.part.is_symlink():
            self.part.unlink(missing_ok=True)
        file = open(self.part, "r+b", opener=_create)  # noqa: SIM115
        _lock(file, self.path)
        # It may have been finished or removed after it was opened, which makes the lock worthless.
        if not _is_at(file, self.part):
            file.close()
            raise _busy(self.path)
        return file

    def _fits(self) -> bool:
        """Return whether the unfinished file has this shape."""
        self._file.seek(0)
        return self._size_on_disk() == self._n_bytes and self._file.read(len(self._header)) == self._header

    def _start(self) -> None:
        if self._size_on_disk():
            # Not truncated in place, so that other hard links keep their content.
            self._discard()
            self._file.close()
            self._file = self._open_part()
            if self._size_on_disk():
                raise _busy(self.path)
        # The notes go first: with old notes, a new file of zeros would look like an unfinished one.
        self._remove_notes()
        sync_folder(self.part.parent)
        try:
            keep_access(self.path, self.part)
            self._file.seek(0)
            self._file.write(self._header)
            self._file.flush()
            _reserve(self._file, self._n_bytes)
        except BaseException as error:
            self._discard()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise OSError(
                    error.errno,
                    f"{error.strerror}: {str(self.path)!r} needs {self._n_bytes:,} bytes. Choose a larger disk",
                ) from error
            raise

    def _finish(self) -> None:
        self._check_ours()
        remove_unfinished(self.notes)
        notes = _content(self.notes)
        self._close_on_windows()
        os.replace(self.part, self.path)
        sync_folder(self.path.parent)
        # Another process may have started since the name became free, and the notes may be its own.
        if _content(self.notes) == notes:
            self.notes.unlink(missing_ok=True)

    def _discard(self) -> None:
        """Remove the notes, then the unfinished file, which holds the lock."""
        if self._is_ours():
            self._remove_notes()
            self._unlink_part()

    def _remove_notes(self) -> None:
        remove_unfinished(self.notes)
        self.notes.unlink(missing_ok=True)

    def _unlink_part(self) -> None:
        self._close_on_windows()
        self.part.unlink(missing_ok=True)

    def _close_on_windows(self) -> None:
        """Close the file on Windows, where open files cannot be renamed or removed, and are not locked."""
        if os.name == "nt":
            self._file.close()

    def _is_ours(self) -> bool:
        return not self._file.closed and _is_at(self._file, self.part)

    def _check_ours(self) -> None:
        """Raise a BlockingIOError if the unfinished file was removed or replaced while it was written."""
        if not self._is_ours():
            raise _busy(self.path)

    def _size_on_disk(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    @property
    def _n_bytes(self) -> int:
        return len(self._header) + self.shape[0] * self.shape[1] * _DTYPE.itemsize

    # -- the notes --------------------------------------------------------------------------------------

    def _write_notes(self, n_done: int, inputs: str) -> None:
        notes = {**self.run, "block_rows": self.block_rows, "rows": n_done, "inputs": inputs}
        with replacing(self.notes, follow=False) as file:
            file.write(json.dumps(notes).encode())

    def _read_notes(self) -> tuple[int, int, str] | None:
        """Return the number of rows done, the rows of a block and the hash of the inputs; None without valid notes."""
        if self.notes.is_symlink() or not self.notes.is_file():
            return None
        try:
            notes = json.loads(self.notes.read_bytes())
        except (ValueError, RecursionError):
            return None
        if not isinstance(notes, dict):
            return None
        others = [name for name, value in self.run.items() if notes.get(name) != value]
        if others:
            raise ValueError(self._mismatch(", ".join(others)))
        n_done, size, inputs = (notes.get(name) for name in ("rows", "block_rows", "inputs"))
        if type(n_done) is not int or type(size) is not int or not isinstance(inputs, str) or size < 1:
            return None
        whole_blocks = n_done % size == 0 or n_done == self.shape[0]
        return (n_done, size, inputs) if 0 < n_done <= self.shape[0] and whole_blocks else None

    def _mismatch(self, what: str) -> str:
        return (
            f"{self.part} is unfinished and belongs to another {what}. Delete {self.notes.name} to start again, or "
            "choose another path."
        )


def _with_ending(path: Path, ending: str) -> Path:
    """Return the path with an ending; too long a name is replaced by its beginning and its hash."""
    name = path.name + ending
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{path.name[:20]}-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}{ending}"
    return path.with_name(name)


def _header(shape: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": _DTYPE.str, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _create(path: str, flags: int) -> int:
    """Open a file that may not exist yet, but do not follow links."""
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _reserve(file: BinaryIO, n_bytes: int) -> None:
    """Reserve space, so that a full disk is detected now; a sparse file would only appear to be as large."""
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            # If a file system cannot reserve space, not every C library writes zeros itself.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
    write_zeros(file, n_bytes)
    return None


def write_zeros(file: BinaryIO, n_bytes: int) -> None:
    """Extend a file to n_bytes by writing zeros."""
    n_there = file.seek(0, os.SEEK_END)
    while n_there < n_bytes:
        n_there += file.write(_ZEROS[: n_bytes - n_there])
    file.flush()
    os.fsync(file.fileno())


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other processes from writing the same file; the lock ends with the process in any case."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise _busy(path) from error
    except OSError:
        # Some network file systems have no locks.
        pass


def _busy(path: Path) -> BlockingIOError:
    return BlockingIOError(f"{str(path)!r} is being written by another process. Wait for it, or choose another path.")
