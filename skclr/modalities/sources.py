"""What X may be besides arrays, DataFrames and sequences: folders, files, and what is too large to be either."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from skclr.modalities.files import images_in, visible_files
from skclr.modalities.parquet import ParquetRows
from skclr.modalities.stored import Stored, is_stored

# Values in all: less is read at once, as 256 MiB of float32.
_MOST_IN_MEMORY = 2**26


def opened(X: Any) -> Any:
    """Give `Stored` rows for what is kept elsewhere, all of them at once where they are few; X itself for the rest.

    A path of Parquet files is their rows, and one of a folder is the images in it.
    """
    if isinstance(X, os.PathLike):
        X = _in_path(Path(X))
    if not is_stored(X):
        return X
    rows = Stored(X)
    few = len(rows.shape) == 1 or math.prod(rows.shape) <= _MOST_IN_MEMORY
    return rows.everything() if few else rows


def _in_path(path: Path) -> Any:
    if path.suffix == ".parquet" or (path.is_dir() and visible_files(path, "*.parquet")):
        return ParquetRows(path)
    return images_in(path) if path.is_dir() else path
