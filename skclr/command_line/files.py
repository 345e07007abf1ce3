"""Reading and writing of files: tables, arrays and folders of images."""

from __future__ import annotations

import csv
import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse, save_npz

from skclr.data.files import IMAGE_SUFFIXES, images_in
from skclr.data.parquet import check_growth, check_row_group, column_names
from skclr.files.atomic import check_writable, replacing
from skclr.optional import import_optional

# Compressed files, whose type is known only after unpacking.
_PACKED = (".gz", ".bz2", ".xz", ".zip", ".zst")


class Data(NamedTuple):
    """Samples, and their labels if there are any."""

    X: Any
    y: np.ndarray | None


def read(path: Path, target: str | None = None, text: str | None = None) -> Data:
    """Return the samples and labels of a file or folder.

    Parameters
    ----------
    path : a .csv, .tsv or .parquet table, an .npy or .npz of arrays, or a folder of images with one subfolder per
        class.
    target : column, or array of an .npz, with the labels; the default for an .npz is "y".
    text : column of a table with texts, which become the samples.

    Raises
    ------
    ValueError : if the file has another type, or does not contain the target or text.
    OSError : if it cannot be read.
    """
    suffix = path.suffix.lower()
    if text is not None and suffix not in _TABLES:
        raise ValueError(f"--text {text!r} names a column of a table, which {path} is not. Leave it out.")
    if path.is_dir():
        if target is not None:
            raise ValueError(f"--target {target!r}: the classes of images are their folders in {path}. Leave it out.")
        return _read_folder(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{path} does not exist. Pass a file or a folder of images.")
    # Reading from a pipe or a device may never end.
    if not path.is_file():
        raise ValueError(f"{path} is neither a file nor a folder. Write its output to a file first.")
    if suffix in _TABLES:
        return _split_table(_read_table(path), path, target, text)
    if suffix in (".npy", ".npz"):
        return _read_arrays(path, target)
    known = ", ".join([*_TABLES, ".npy", ".npz"])
    packed = f", and unpack it first if it is packed (gunzip {path.name})" if suffix in _PACKED else ""
    raise ValueError(f"{path} has the suffix {path.suffix!r}. Pass {known}, or a folder of images{packed}.")


@contextmanager
def _readable(path: Path, fault: str) -> Iterator[None]:
    """Raise a ValueError for any error of a library about a file whose content does not match its suffix."""
    try:
        yield
    except (ImportError, OSError):
        raise
    except Exception as error:
        # pandas, pyarrow, numpy and zipfile raise a dozen different classes.
        raise ValueError(f"{path} {fault} ({error})") from error


# -- tables -----------------------------------------------------------------------------------------


def _pandas() -> Any:
    return import_optional("pandas", "cli", "reading a table, unlike an .npz of arrays,")


def _read_parquet(path: Path) -> Any:
    pandas = _pandas()
    header, n_bytes = import_optional("pyarrow.parquet", "cli", "reading Parquet files").read_metadata(path), 0
    column_names(path, header)
    for group in range(header.num_row_groups):
        n_bytes += check_row_group(path, header, group, before=n_bytes)
    return pandas.read_parquet(path)


def _read_csv(path: Path, separator: str) -> Any:
    pandas = _pandas()
    frame = pandas.read_csv(path, sep=separator)
    # pandas turns columns without a name into an index, so X would lack them.
    if not frame.index.equals(pandas.RangeIndex(len(frame))):
        raise ValueError("rows have more values than the header has names. Name every column.")
    return frame


_TABLES: dict[str, Callable[[Path], Any]] = {
    ".csv": lambda path: _read_csv(path, ","),
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".parquet": _read_parquet,
}


def _read_table(path: Path) -> Any:
    with _readable(path, f"is not a readable {path.suffix} table"):
        return _TABLES[path.suffix.lower()](path)


def _split_table(frame: Any, path: Path, target: str | None, text: str | None) -> Data:
    for option, column in (("--target", target), ("--text", text)):
        if column is not None and column not in frame.columns:
            raise ValueError(
                f"{option} {column!r} is not a column of {path}, which has {', '.join(map(repr, frame.columns))}"
            )
    if target is not None and target == text:
        raise ValueError(f"--text {text!r} is the --target too. Name two columns.")
    y = None if target is None else frame[target].to_numpy()
    if text is not None:
        return Data(_texts(frame[text].tolist(), text), y)
    X = frame if target is None else frame.drop(columns=target)
    if not len(X.columns):
        raise ValueError(f"{path} has no columns{'' if target is None else ' besides the target'} to learn from")
    return Data(X, y)


def _texts(values: list[Any], column: str) -> list[Any]:
    if values and not any(isinstance(value, str) for value in values):
        raise ValueError(
            f"--text {column!r} does not hold texts but values such as {values[0]!r}. Name a column of texts."
        )
    return values


# -- arrays -----------------------------------------------------------------------------------------


def _read_arrays(path: Path, target: str | None) -> Data:
    with _readable(path, "is not an archive of plain arrays, as written by numpy.savez(path, X=X, y=y)"):
        _check_archive(path)
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays = {"X": loaded} if isinstance(loaded, np.ndarray) else _unpack(path, loaded)
        for name, array in arrays.items():
            _check_characters(name, array)
    target = "y" if target is None and "y" in arrays else target
    if target is not None and target not in arrays:
        raise ValueError(f"--target {target!r} is not an array of {path}, which has {', '.join(map(repr, arrays))}")
    y = None if target is None else np.asarray(arrays.pop(target))
    if "X" not in arrays and len(arrays) != 1:
        raise ValueError(f"{path} holds {', '.join(map(repr, arrays)) or 'nothing'}. Name the samples 'X'.")
    X = arrays["X"] if "X" in arrays else next(iter(arrays.values()))
    return Data(X.tolist() if X.dtype.kind == "U" else X, y)


def _check_archive(path: Path) -> None:
    """Raise a ValueError if a file begins like an archive but is corrupt; numpy would leave it open."""
    with path.open("rb") as file:
        begins = file.read(2) == b"PK"
    if begins and not zipfile.is_zipfile(path):
        raise ValueError("it is a corrupt archive")


def _unpack(path: Path, archive: Any) -> dict[str, np.ndarray]:
    with archive:
        check_growth(path, sum(member.file_size for member in archive.zip.infolist()))
        arrays = {name: archive[name] for name in archive.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name!r} is not an array")
    return arrays


def _check_characters(name: str, array: np.ndarray) -> None:
    """Raise a ValueError if an array of text contains invalid characters, which numpy does not check."""
    if array.dtype.kind == "U" and array.dtype.itemsize:
        native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
        if native.view(np.uint32).max(initial=0) > sys.maxunicode:
            raise ValueError(f"{name!r} contains invalid characters")


# -- images -----------------------------------------------------------------------------------------


def _read_folder(folder: Path) -> Data:
    paths = images_in(folder)
    classes = [path.relative_to(folder).parts[0] if path.parent != folder else None for path in paths]
    return Data(paths, None if None in classes else np.array(classes))


# -- results ----------------------------------------------------------------------------------------


def check_output(path: Path, suffixes: tuple[str, ...], inputs: Iterable[Path] = ()) -> None:
    """Check before the work that a result can be written.

    Parameters
    ----------
    path : path of the result.
    suffixes : allowed suffixes, in lower case.
    inputs : files and folders that are read, which the result must not replace.

    Raises
    ------
    ValueError : if the suffix is another, or the file is one of the inputs, under any name.
    OSError : if it cannot be written, for example because the folder does not exist.
    """
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"--output {path}: choose a name that ends in {', '.join(suffixes)}")
    if not path.parent.exists():
        raise FileNotFoundError(f"--output {path}: create the folder {path.parent} first")
    target = check_writable(path, argument="--output")
    for file in inputs:
        if target.exists() and file.exists() and (target.samefile(file) or _is_image_in(target, file)):
            raise ValueError(f"--output {path} is the same file as the input {file}. Choose another name.")


def _is_image_in(path: Path, folder: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_relative_to(folder.resolve())


def write_features(
    path: Path, features: np.ndarray | csr_matrix, names: np.ndarray, files: Sequence[str] | None = None
) -> None:
    """Write (n, d) features as .npy, .csv or .parquet, and sparse ones as .npz, for scipy.sparse.load_npz.

    Parameters
    ----------
    path : path of the file.
    features, names : (n, d) features and (d,) names.
    files : (n,) names of the embedded files: the first column, "file", of a .csv, or the index of a .parquet; not
        written to an .npy.

    Raises
    ------
    ValueError : if the format does not suit the features.
    """
    if issparse(features) != (path.suffix.lower() == ".npz"):
        remedy = "an .npz, or fit with --set passthrough=false" if issparse(features) else "an .npy, .csv or .parquet"
        raise ValueError(
            f"--output {path}: the features are {'sparse' if issparse(features) else 'dense'}. Write {remedy}."
        )
    index = None if files is None else [name.encode(errors="backslashreplace").decode() for name in files]
    with replacing(path) as file:
        if issparse(features):
            save_npz(file, features)
        elif path.suffix.lower() == ".npy":
            np.save(file, features)
        elif path.suffix.lower() == ".parquet":
            pandas = _pandas()
            rows = None if index is None else pandas.Index(index, name="file")
            pandas.DataFrame(features, columns=names, index=rows).to_parquet(file)
        else:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(names if index is None else ["file", *names])
            for row, values in enumerate(features):
                numbers = [f"{value:.9g}" for value in values]
                writer.writerow(numbers if index is None else [index[row], *numbers])
            text.detach()


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records, whose values are plain except for a list of scores, as .csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
