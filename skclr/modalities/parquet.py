"""Tables in Parquet files, read row group by row group."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from skclr.modalities.files import visible_files


class ParquetRows:
    """Rows of Parquet files, as X for tables that no memory holds; `rows[index]` is a DataFrame.

    A row group is read as a whole, and shuffles draw from several at once: write them of some MB each
    (`row_group_size=`). In a large one rows that lie beside each other are likelier to meet in a batch.

    Parameters
    ----------
    path : str or path
        Of a file, or of a folder, whose files are taken in the order of their names.
    columns : sequence of str, default=None
        Those to read; None is all of them.

    Attributes
    ----------
    edges : (n_groups + 1,) row numbers at which row groups begin, and that of the end.

    Raises
    ------
    ValueError
        Where there are no such files, or their columns differ.
    ImportError
        Without pyarrow and pandas, `skclr[cli]`.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.modalities import ParquetRows
    >>> frame = load_iris(as_frame=True).frame
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame.to_parquet(f"{folder}/iris.parquet", row_group_size=50)
    ...     X = ParquetRows(folder, columns=list(frame.columns[:4]))
    ...     ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X).n_features_in_
    4
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> None:
        parquet, _ = _import_pyarrow()
        paths = visible_files(Path(path), "*.parquet") if os.path.isdir(path) else [Path(path)]
        if not paths:
            raise ValueError(f"path={os.fspath(path)!r} holds no .parquet files: give a folder that does, or a file")
        files = [(path, parquet.read_metadata(path)) for path in paths]
        odd = next((path for path, file in files if not file.schema.equals(files[0][1].schema)), None)
        if odd is not None:
            raise ValueError(f"{odd} has other columns or types than {paths[0]}: write all files alike")
        missing = [name for name in columns or () if name not in files[0][1].schema.to_arrow_schema().names]
        if missing:
            raise ValueError(f"columns={columns!r}: {paths[0]} has no {missing[0]!r}")
        self.columns = columns
        self._groups = [(path, file, i) for path, file in files for i in range(file.num_row_groups)]
        self.edges = np.cumsum([0, *(file.row_group(i).num_rows for _, file, i in self._groups)])
        self._last: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return int(self.edges[-1])

    def __getitem__(self, rows: np.ndarray) -> Any:
        _, pandas = _import_pyarrow()
        groups = np.searchsorted(self.edges, rows, side="right") - 1
        found = [self._group(g).iloc[rows[groups == g] - self.edges[g]] for g in np.unique(groups).tolist()]
        return pandas.concat(found) if len(found) > 1 else found[0] if found else self._group(0)[:0]

    def _group(self, number: int) -> Any:
        """Read a row group; the last is kept, for those who come for the rest of it."""
        last, frame = self._last
        if last != number:
            parquet, _ = _import_pyarrow()
            path, metadata, place = self._groups[number]
            with parquet.ParquetFile(path, metadata=metadata) as file:
                frame = file.read_row_group(place, columns=self.columns).to_pandas()
            self._last = number, frame
        return frame


def _import_pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pandas
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow and pandas: pip install 'skclr[cli]'") from error
    return pyarrow.parquet, pandas
