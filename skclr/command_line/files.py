"""Files that the command line reads and writes: tables, arrays and folders of images."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skclr.parts.atomic import replacing

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class Data(NamedTuple):
    """Samples, and their labels where there are some."""

    X: Any
    y: np.ndarray | None


def read(path: Path, target: str | None = None, text: str | None = None) -> Data:
    """Read samples and labels.

    Parameters
    ----------
    path : a .csv, .tsv or .parquet table, an .npy or .npz of arrays, or a folder of images, whose folders are classes.
    target : column, or array of an .npz, that holds the labels; "y" of an .npz serves without being asked for.
    text : column of a table that holds texts, which are then the samples.

    Raises
    ------
    ValueError : for a file of another kind, and for a target or text that is not in it.
    OSError : where it cannot be read.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: give a file or a folder of images")
    if path.suffix in _TABLES:
        return _split_table(_read_table(path), path, target, text)
    if path.suffix in (".npy", ".npz"):
        return _read_arrays(path, target)
    known = ", ".join([*_TABLES, ".npy", ".npz"])
    raise ValueError(f"{path} has the suffix {path.suffix!r}: give {known}, or a folder of images")


# -- tables -----------------------------------------------------------------------------------------


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("tables are read by pandas: pip install 'skclr[cli]', or give an .npz of arrays") from error
    return pandas


_TABLES: dict[str, Callable[[Path], Any]] = {
    ".csv": lambda path: _pandas().read_csv(path),
    ".tsv": lambda path: _pandas().read_csv(path, sep="\t"),
    ".parquet": lambda path: _pandas().read_parquet(path),
}


def _read_table(path: Path) -> Any:
    try:
        return _TABLES[path.suffix](path)
    except (ImportError, OSError):
        raise
    except Exception as error:
        # pandas and pyarrow raise a dozen classes of their own for a file that is not what its suffix says.
        raise ValueError(f"{path} is no readable {path.suffix} table: {error}") from error


def _split_table(frame: Any, path: Path, target: str | None, text: str | None) -> Data:
    for option, column in (("--target", target), ("--text", text)):
        if column is not None and column not in frame.columns:
            raise ValueError(
                f"{option} {column!r} is no column of {path}: it has {', '.join(map(repr, frame.columns))}"
            )
    y = None if target is None else frame[target].to_numpy()
    if text is not None:
        return Data(frame[text].tolist(), y)
    return Data(frame if target is None else frame.drop(columns=target), y)


# -- arrays -----------------------------------------------------------------------------------------


def _read_arrays(path: Path, target: str | None) -> Data:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays = {"X": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, KeyError, NotImplementedError) as error:
        raise ValueError(f"{path} holds no plain arrays: write it by numpy.savez(path, X=X, y=y) ({error})") from error
    target = "y" if target is None and "y" in arrays else target
    if target is not None and target not in arrays:
        raise ValueError(f"--target {target!r} is no array of {path}: it has {', '.join(map(repr, arrays))}")
    y = None if target is None else np.asarray(arrays.pop(target))
    if "X" not in arrays and len(arrays) != 1:
        raise ValueError(f"{path} holds {', '.join(map(repr, arrays)) or 'nothing'}: call the samples 'X'")
    X = arrays["X"] if "X" in arrays else next(iter(arrays.values()))
    return Data(X.tolist() if X.dtype.kind == "U" else X, y)


# -- images -----------------------------------------------------------------------------------------


def _read_folder(folder: Path) -> Data:
    root = folder.resolve()
    # A link may lead anywhere: only what lies in the folder itself is of the data.
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and path.resolve().is_relative_to(root)
    )
    if not paths:
        raise ValueError(f"{folder} holds no images: give a folder with {', '.join(sorted(IMAGE_SUFFIXES))} files")
    classes = [path.relative_to(folder).parts[0] if path.parent != folder else None for path in paths]
    return Data(paths, None if None in classes else np.array(classes))


# -- results ----------------------------------------------------------------------------------------


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise before the work, and not after it, where a result could not be written.

    Raises
    ------
    ValueError : for another suffix.
    FileNotFoundError : for a folder that is not there.
    """
    if path.suffix not in suffixes:
        raise ValueError(f"--output {path}: give a name that ends in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--output {path}: make the folder {path.parent} first")


def write_features(path: Path, features: np.ndarray, names: np.ndarray) -> None:
    """Write (n, d) features as .npy, .csv or .parquet."""
    with replacing(path) as file:
        if path.suffix == ".npy":
            np.save(file, features)
        elif path.suffix == ".csv":
            np.savetxt(file, features, fmt="%.9g", delimiter=",", header=",".join(names), comments="")
        else:
            _pandas().DataFrame(features, columns=names).to_parquet(file)


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records, whose values are plain but for a list of scores, as .csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
