"""Atomic writing of files."""

import errno
import glob
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

# Maximum length of a name in bytes on most file systems, and the number of characters to which longer ones are cut.
_LONGEST_NAME = 255
_N_CHARACTERS = 20


def check_writable(path: str | os.PathLike[str], *, follow: bool = True, argument: str = "path") -> Path:
    """Check that a file can be written or replaced, and return its final path.

    Call this before a long computation, so that a wrong path is found early.

    Parameters
    ----------
    path : path of the file, which may exist; its folder must exist.
    follow : whether to write to the target of a symbolic link. Otherwise the link itself is replaced.
    argument : name of the path in error messages.

    Returns
    -------
    The absolute path, with links in its folder resolved.

    Raises
    ------
    TypeError : if `path` is not a str or a path.
    ValueError : if it has a null character.
    OSError : if the folder is missing or not writable, or if `path` is a folder, a device, a pipe, a socket or a
        read-only file. A file without any write permission counts as read-only for root too.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{argument} must be a str or a pathlib.Path, got {type(path).__name__}")
    name = os.fsdecode(path)
    _check_characters(argument, name)
    target = Path(os.path.realpath(name)) if follow else Path(os.path.realpath(os.path.dirname(name))) / Path(name).name
    _check_folder(f"{argument} {name!r}", target.parent)
    mode = _mode(target)
    if name.endswith(("/", os.sep)) or not name or (mode is not None and stat.S_ISDIR(mode)):
        raise IsADirectoryError(f"{argument} {name!r} is a folder. Name a file in it.")
    if mode is None or (stat.S_ISLNK(mode) and not follow):
        return target
    if not stat.S_ISREG(mode):
        kind = "a symbolic link to itself" if stat.S_ISLNK(mode) else "a device, a pipe or a socket"
        raise OSError(f"{argument} {name!r} is {kind}, not a file. Choose another name.")
    # Another process may have removed the file meanwhile, in which case nothing is read-only.
    if not mode & 0o222 or not (os.access(target, os.W_OK) or _mode(target) is None):
        raise PermissionError(f"{argument} {name!r} is read-only. Make it writable, or choose another name.")
    return target


@contextmanager
def replacing(path: str | os.PathLike[str], *, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a file that atomically replaces `path` at the end of the block.

    Until then, and if the block raises, the file at `path` is unchanged. A killed process leaves at most an unfinished
    file, hidden next to `path` under a name that ends in .tmp. The new file gets the permission bits of the old one
    and, if the process may set them, its owner and group; other hard links keep the old content.

    Parameters
    ----------
    path, follow : see `check_writable`.

    Yields
    ------
    The new file, opened for writing.

    Raises
    ------
    TypeError, ValueError : see `check_writable`.
    OSError : see `check_writable`; also if writing fails, for example on a full disk. Nothing has changed then.
    """
    target = check_writable(path, follow=follow)
    unfinished = _unfinished(target, uuid4().hex)
    try:
        with open(unfinished, "xb") as file:
            # Before the content, so that nobody can read it who could not read the old file.
            keep_access(target, unfinished)
            yield file
            file.flush()
            # The content must reach the disk before the name.
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def remove_unfinished(path: Path) -> None:
    """Remove unfinished files left by killed processes; no other process may be writing the file now."""
    any_unique = len(uuid4().hex) * "?"
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.{any_unique}.tmp"):
        unfinished.unlink(missing_ok=True)


def keep_access(old: Path, new: Path) -> None:
    """Copy owner, group and permission bits from the regular file that will be replaced, if any, to the new file.

    Parameters
    ----------
    old : path without links; if it is not a regular file, nothing changes.
    new : an existing file. An owner or group that this process may not set is left unchanged.
    """
    with suppress(FileNotFoundError):
        status = old.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        if hasattr(os, "chown"):
            # One by one, since users may give files to one of their groups, but not to another user.
            for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
                with suppress(PermissionError):
                    os.chown(new, owner, group)
        new.chmod(stat.S_IMODE(status.st_mode))


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a new name survives a power failure; not possible on Windows."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: str | os.PathLike[str], argument: str) -> Path:
    """Create a folder and its parents unless it exists; "~" is the user's home.

    Parameters
    ----------
    folder : path of the folder.
    argument : name of the path in error messages.

    Raises
    ------
    OSError : if it cannot be created, for example if a file has that name.
    ValueError : if the path is empty, contains a null character, or names the home of an unknown user.
    """
    name = os.fspath(folder)
    _check_characters(argument, name)
    if not name:
        raise ValueError(f"{argument}='' names no folder. Pass '.' for the working directory.")
    try:
        path = Path(name).expanduser()
        path.mkdir(parents=True, exist_ok=True)
    except RuntimeError as error:
        raise ValueError(f"{argument}={name!r} names the home of an unknown user. Write the path in full.") from error
    except OSError as error:
        raise type(error)(f"{argument}={name!r} cannot be created ({error.strerror}). Choose another.") from error
    return path


def _unfinished(target: Path, unique: str) -> Path:
    """Return the path of the unfinished file that will replace `target`; too long a name is cut."""
    name = f".{target.name}.{unique}.tmp"
    is_long = len(os.fsencode(name)) > _LONGEST_NAME
    return target.with_name(f".{target.name[:_N_CHARACTERS]}.{unique}.tmp" if is_long else name)


def _check_characters(argument: str, name: str) -> None:
    if "\0" in name:
        raise ValueError(f"{argument} {name!r} contains a null character. Remove it.")


def _check_folder(path: str, folder: Path) -> None:
    mode = _mode(folder)
    if mode is None:
        raise FileNotFoundError(f"{path}: the folder {str(folder)!r} does not exist. Create it first.")
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(f"{path}: {str(folder)!r} is not a folder. Choose another name.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: the folder {str(folder)!r} is not writable. Choose another one.")


def _mode(path: Path) -> int | None:
    """Return the type and permission bits of the file at `path`, or None if there is none."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(f"the name {path.name[:_N_CHARACTERS]}... is too long. Shorten it.") from error
        raise
