"""Files that are there whole or not at all."""

import errno
import glob
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

# Bytes of a name on most file systems, and characters to which a name is cut that gets longer.
_LONGEST_NAME = 255
_N_CHARACTERS = 20


def check_writable(path: str | os.PathLike[str], *, follow: bool = True, argument: str = "path") -> Path:
    """Check that a file can be written or replaced, and return the place where it will be.

    Call it before a long computation, so that a wrong path costs nothing.

    Parameters
    ----------
    path : of a file that may exist; its folder has to exist.
    follow : whether a symbolic link stands for the file that it leads to. Otherwise the link itself is replaced.
    argument : name of the path in errors.

    Returns
    -------
    The absolute path, its folder without links.

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
        kind = "a symbolic link that leads to itself" if stat.S_ISLNK(mode) else "a device, a pipe or a socket"
        raise OSError(f"{argument} {name!r} is {kind}, not a file. Choose another name.")
    # Another process may remove the file before it is asked for: nothing is there to be read-only then.
    if not mode & 0o222 or not (os.access(target, os.W_OK) or _mode(target) is None):
        raise PermissionError(f"{argument} {name!r} is read-only. Make it writable, or choose another name.")
    return target


@contextmanager
def replacing(path: str | os.PathLike[str], *, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends, at once and whole.

    Until then, and if the block raises, what was at `path` is unchanged. A process that is killed leaves at most its
    unfinished file, hidden beside `path` under a name that ends in .tmp. A file that is replaced keeps its permission
    bits and, where the process may set them, its owner and group; other hard links to it keep the old content.

    Parameters
    ----------
    path, follow : see `check_writable`.

    Yields
    ------
    The new file, open for writing.

    Raises
    ------
    TypeError, ValueError : see `check_writable`.
    OSError : see `check_writable`; also if the file cannot be written, as on a full disk. Nothing has changed then.
    """
    target = check_writable(path, follow=follow)
    unfinished = _unfinished(target, uuid4().hex)
    try:
        with open(unfinished, "xb") as file:
            # Before the content: nobody reads it who could not read what it replaces.
            keep_access(target, unfinished)
            yield file
            file.flush()
            # The name must not reach the disk before the bytes.
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def remove_unfinished(path: Path) -> None:
    """Remove what killed processes have left of a file; only for a file that no other process writes now."""
    any_unique = len(uuid4().hex) * "?"
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.{any_unique}.tmp"):
        unfinished.unlink(missing_ok=True)


def keep_access(old: Path, new: Path) -> None:
    """Give a new file the owner, group and permission bits of the regular file that it will replace, if there is one.

    Parameters
    ----------
    old : path without links; anything but a regular file changes nothing.
    new : an existing file. An owner or group that this process may not set is left.
    """
    with suppress(FileNotFoundError):
        status = old.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        if hasattr(os, "chown"):
            # One by one: a user may give files to a group of theirs, but not to another user.
            for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
                with suppress(PermissionError):
                    os.chown(new, owner, group)
        new.chmod(stat.S_IMODE(status.st_mode))


def sync_folder(folder: Path) -> None:
    """Make a file's new name last through a loss of power; Windows has no such call for folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: str | os.PathLike[str], argument: str) -> Path:
    """Make a folder and those above it, unless it exists; "~" is the user's home.

    Parameters
    ----------
    folder : its path.
    argument : name of the path in errors.

    Raises
    ------
    OSError : if it cannot be made, as where a file has its name.
    ValueError : for an empty path, a path with a null character, and the home of an unknown user.
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
        raise type(error)(f"{argument}={name!r} cannot be made a folder ({error.strerror}). Choose another.") from error
    return path


def _unfinished(target: Path, unique: str) -> Path:
    """Return the place of a file that is to replace `target`; a name that gets too long is cut."""
    name = f".{target.name}.{unique}.tmp"
    is_long = len(os.fsencode(name)) > _LONGEST_NAME
    return target.with_name(f".{target.name[:_N_CHARACTERS]}.{unique}.tmp" if is_long else name)


def _check_characters(argument: str, name: str) -> None:
    if "\0" in name:
        raise ValueError(f"{argument} {name!r} has a null character, which no path has")


def _check_folder(path: str, folder: Path) -> None:
    mode = _mode(folder)
    if mode is None:
        raise FileNotFoundError(f"{path}: the folder {str(folder)!r} does not exist. Create it first.")
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(f"{path}: {str(folder)!r} is not a folder. Choose another name.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: the folder {str(folder)!r} is not writable. Choose another one.")


def _mode(path: Path) -> int | None:
    """Return the type and permission bits of what is at `path`, and None for nothing."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(f"the name {path.name[:_N_CHARACTERS]}... is too long. Shorten it.") from error
        raise
