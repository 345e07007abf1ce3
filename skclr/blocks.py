"""Embedding more samples than memory holds: block by block, into a file or lazily."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skclr.modalities import let_go, opened
from skclr.training import ContrastiveNet, fingerprint

# Enough for the cores, and few enough to lose little where a call is cut short; of large samples fewer.
_BLOCK_ROWS = 4_096
_BLOCK_VALUES = 2**26


class BlockwiseTransform:
    """An estimator whose `transform` takes each sample for itself.

    Attributes
    ----------
    net_ : the fit.
    _n_features_out : width of what `transform` gives.
    """

    net_: ContrastiveNet
    _n_features_out: int

    def transform(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def transform_to(self, path: str | os.PathLike[str], X: Any) -> np.ndarray:
        """Embed samples into a file, which may be larger than memory.

        The same call goes on where an earlier one was cut short. Until all is done the file has the ending ".part".

        Parameters
        ----------
        path : str or path
            Of the file, in numpy's format, which `numpy.load(path, mmap_mode="r")` maps.
        X : array or DataFrame of n samples
            As for `transform`; what is kept on disk is read block by block.

        Returns
        -------
        (n, n_features_out) float32, a read-only map of the file.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As `transform`, and where the unfinished file is of another model or number of samples.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     embedder.transform_to(f"{folder}/iris.npy", X).shape[0]
        150
        """
        check_is_fitted(self)
        path, X = Path(path), opened(X)
        rows = X.iloc if hasattr(X, "iloc") else X
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        part, notes = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
        run = {"model": fingerprint(self.net_.framework_.state_dict()), "n_samples": n_samples}
        n_done = _rows_done(notes, run)
        shape = (n_samples, self._n_features_out)
        out = np.lib.format.open_memmap(part, mode="r+" if n_done else "w+", dtype=np.float32, shape=shape)
        size = max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // max(1, math.prod(getattr(X, "shape", ())[1:]))))
        for start in range(n_done, n_samples, size):
            stop = min(start + size, n_samples)
            out[start:stop] = self.transform(rows[start:stop])
            out.flush()
            let_go(out, start, stop)
            notes.write_text(json.dumps({**run, "rows": stop}))
        del out
        os.replace(part, path)
        notes.unlink(missing_ok=True)
        return np.load(path, mmap_mode="r")

    def _lazily(self, X: Any) -> Any:
        """Give what will be the embedding of a dask array or DataFrame, when it is asked for."""
        n_features = self._n_features_out
        if hasattr(X, "map_partitions"):
            return X.map_partitions(_transform_frame, self, meta=_transform_frame(X._meta_nonempty, self))
        whole_rows = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
        return whole_rows.map_blocks(
            self.transform,
            dtype=np.float32,
            chunks=(whole_rows.chunks[0], (n_features,)),
            drop_axis=list(range(2, X.ndim)),
            meta=np.empty((0, n_features), np.float32),
        )


def is_lazy(X: Any) -> bool:
    """Tell dask's collections, without importing dask."""
    return hasattr(X, "__dask_graph__")


def _transform_frame(frame: Any, embedder: Any) -> Any:
    columns = embedder.get_feature_names_out()
    return type(frame)(np.asarray(embedder.transform(frame)), index=frame.index, columns=columns)


def _rows_done(notes: Path, run: dict[str, Any]) -> int:
    """Give how many rows an earlier call has written."""
    if not notes.exists():
        return 0
    before = json.loads(notes.read_text())
    n_done = int(before.pop("rows"))
    if before != run:
        raise ValueError(
            f"{notes.with_suffix('')} is unfinished, and of another model or number of samples: delete it, or name "
            "another file"
        )
    return n_done
