"""Embedding more samples than memory holds: block by block, into a file or lazily."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skclr.data import Rows
from skclr.data.files import ImageFiles
from skclr.files.resumable import ResumableArray
from skclr.modalities import Modality
from skclr.training import ContrastiveNet, Samples, fingerprint

# Enough for the cores, and few enough to lose little where a call is cut short; of large samples fewer.
_BLOCK_ROWS = 4_096
_BLOCK_VALUES = 2**26
# Rows that are turned into tensors at once to be hashed.
_DIGEST_ROWS = 256


class BlockwiseTransform:
    """An estimator whose `transform` takes each sample for itself.

    Attributes
    ----------
    net_, _modality : the fit.
    _n_features_out : width of what `transform` gives.
    _samples : reads X as `transform` does.
    """

    net_: ContrastiveNet
    _modality: Modality
    _n_features_out: int
    _samples: Callable[[Any], Samples]

    def transform(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def transform_to(self, path: str | os.PathLike[str], X: Any) -> np.ndarray:
        """Embed samples into a file, which may be larger than memory.

        The same call continues where an earlier one was interrupted, at whatever point that was. Until all rows are
        embedded the file has the ending ".part"; the notes beside it, ".part.json", say what it belongs to. The space
        is reserved at the beginning.

        A call that continues reads the finished rows again, and compares a hash of them with that of the earlier call:
        no row of another X is kept, however few rows have changed. Of image files it compares path, size and time
        of the last change, and of the model its weights, its structure as printed, and all that `fit` learned of X;
        code of your own that has changed is not noticed.

        Parameters
        ----------
        path : str or path
            Of the file, in numpy's format, which `numpy.load(path, mmap_mode="r")` maps; its folder has to exist.
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
            As `transform`, and if the unfinished file is of another model or another X.
        OSError
            If the file cannot be written, or if the disk is too small for it; BlockingIOError if another process is
            writing it.

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
        if hasattr(X, "map_partitions"):
            raise TypeError(
                f"X is a dask {type(X).__name__}, whose length is unknown. Use transform(X).to_parquet(folder), or "
                "pass X.compute()."
            )
        rows = Rows.of(X)
        n_samples, block_rows = len(rows), _block_rows(rows.single())
        if n_samples == 0:
            raise ValueError("X has 0 samples, and there is nothing to embed. Pass at least one row.")
        shape, run = (n_samples, self._n_features_out), {**self._identity(), "number of samples": n_samples}
        inputs = ""
        with ResumableArray(path, shape, run, block_rows) as out:
            for start in range(0, n_samples, out.block_rows):
                block = rows[start : start + out.block_rows]
                inputs = self._digest(block, inputs)
                if start >= out.n_done:
                    out.append(self.transform(block), inputs)
                elif start + out.block_rows >= out.n_done:
                    out.check_inputs(inputs)
        return np.load(out.path, mmap_mode="r")

    def _identity(self) -> dict[str, Any]:
        """Return, by name, what a sample's features depend on besides the sample."""
        net = self.net_
        return {
            "model": fingerprint({"encoder": repr(net.framework_.encoder), **net.framework_.state_dict()}),
            "modality": fingerprint({type(self._modality).__name__: self._modality}),
            "width": self._n_features_out,
        }

    def _digest(self, rows: Any, before: str) -> str:
        """Hash what `transform` embeds: tensors, and of image files path, size and time of the last change."""
        digest, samples = hashlib.sha256(before.encode()), self._samples(rows)
        if isinstance(samples.X, ImageFiles):
            stats = map(os.stat, samples.X.paths)
            files = [(path, s.st_size, s.st_mtime_ns) for path, s in zip(samples.X.paths, stats, strict=True)]
            digest.update(repr(files).encode())
            return digest.hexdigest()
        for start in range(0, len(samples), _DIGEST_ROWS):
            digest.update(fingerprint({"x": samples.on_host(slice(start, start + _DIGEST_ROWS))}).encode())
        return digest.hexdigest()

    def _lazily(self, X: Any) -> Any:
        """Give what will be the embedding of a dask array or DataFrame, when it is asked for."""
        n_features = self._n_features_out
        if hasattr(X, "map_partitions"):
            return X.map_partitions(_transform_frame, self, meta=_meta_of(X, self))
        whole_rows = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
        return whole_rows.map_blocks(
            _transform_block,
            self,
            dtype=np.float32,
            chunks=(whole_rows.chunks[0], (n_features,)),
            drop_axis=list(range(2, X.ndim)),
            # Texts have no axis of their own.
            new_axis=[1] if X.ndim == 1 else None,
            meta=np.empty((0, n_features), np.float32),
        )


def is_lazy(X: Any) -> bool:
    """Tell dask's collections, without importing dask."""
    return hasattr(X, "__dask_graph__")


def _transform_block(block: Any, embedder: Any) -> np.ndarray:
    """Embed the rows of a block, which a filter may have left empty."""
    return embedder.transform(block) if len(block) else np.empty((0, embedder._n_features_out), np.float32)


def _transform_frame(frame: Any, embedder: Any) -> Any:
    columns = embedder.get_feature_names_out()
    features = np.asarray(_transform_block(frame, embedder))
    make = type(frame.to_frame() if frame.ndim == 1 else frame)
    return make(features, index=frame.index, columns=columns)


def _meta_of(X: Any, embedder: Any) -> Any:
    """Return an empty partition of the result; wrong columns are refused before anything is computed."""
    with warnings.catch_warnings():
        # The row is dask's, of values that no fit has seen.
        warnings.simplefilter("ignore")
        return _transform_frame(X._meta_nonempty[:1], embedder)[:0]


def _block_rows(X: Any) -> int:
    return max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // max(1, math.prod(getattr(X, "shape", ())[1:]))))
