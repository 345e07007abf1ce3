"""Embedding of data larger than memory: block by block, into a file or lazily."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from skclr.data import Rows
from skclr.data.files import ImageFiles, file_states
from skclr.data.lazy import mapped
from skclr.data.sources import is_of_unknown_length
from skclr.files.resumable import ResumableArray
from skclr.model import Model
from skclr.part_choices import name_of
from skclr.training import fingerprint

# Enough to keep the cores busy, and few enough to lose little if a call is interrupted; fewer for large samples.
_BLOCK_ROWS = 4_096
_BLOCK_VALUES = 2**26
# Number of rows that are hashed at once.
_DIGEST_ROWS = 256


def transform_to(model: Model, path: str | os.PathLike[str], X: Any, *, most_rows: int = _BLOCK_ROWS) -> np.ndarray:
    """Write the features of X into a file; see `ContrastiveEmbedder.transform_to`.

    Parameters
    ----------
    most_rows : largest number of rows embedded at once.
    """
    if is_of_unknown_length(X):
        raise TypeError(
            f"X is a dask {type(X).__name__}, whose length is unknown. Use transform(X).to_parquet(folder), or "
            "pass X.compute()."
        )
    _check_dense(model)
    rows = Rows.of(X)
    n_samples, block_rows = len(rows), min(most_rows, _block_rows(rows.single()))
    if n_samples == 0:
        raise ValueError("X has 0 samples. Pass at least one row.")
    shape, run = (n_samples, model.n_features_out), {**_identity(model), "number of samples": n_samples}
    inputs = ""
    with ResumableArray(path, shape, run, block_rows) as out:
        for start in range(0, n_samples, out.block_rows):
            block = rows[start : start + out.block_rows]
            inputs = _digest(model, block, inputs)
            if start >= out.n_done:
                out.append(model.transform(block), inputs)
            elif start + out.block_rows >= out.n_done:
                out.check_inputs(inputs)
    return np.load(out.path, mmap_mode="r")


def _check_dense(model: Model) -> None:
    """Raise a ValueError if features are sparse."""
    if model.has_sparse_output:
        raise ValueError(
            f"the {model.n_plain:,} plain features of {name_of(model.modality)} data are sparse, and blocks must be "
            "dense. Fit with passthrough=False, which leaves them out, or call transform on parts of X in memory."
        )


def _identity(model: Model) -> dict[str, Any]:
    """Return, by name, everything on which features depend besides the sample."""
    framework, balance = model.net.framework_, {} if model.balance is None else model.balance.state()
    return {
        "model": fingerprint({"encoder": repr(model.encoder), **balance, **framework.state_dict()}),
        "modality": fingerprint({type(model.modality).__name__: model.modality}),
        "width": model.n_features_out,
    }


def _digest(model: Model, rows: Any, before: str) -> str:
    """Hash the input of `transform`: tensors, or the path, size and modification time of image files."""
    digest, samples = hashlib.sha256(before.encode()), model.read(rows)
    if isinstance(samples.X, ImageFiles):
        digest.update(repr(file_states(samples.X.paths)).encode())
        return digest.hexdigest()
    for start in range(0, len(samples), _DIGEST_ROWS):
        digest.update(fingerprint({"x": samples.on_host(slice(start, start + _DIGEST_ROWS))}).encode())
    return digest.hexdigest()


def transform_lazily(model: Model, X: Any, names: Sequence[str]) -> Any:
    """Return the lazy features of a dask array or DataFrame, computed block by block.

    Parameters
    ----------
    names : names of the features, for a DataFrame.
    """
    _check_dense(model)
    return mapped(X, partial(_features, model), names)


def _features(model: Model, block: Any) -> np.ndarray:
    """Return the features of a block, which may be empty after filtering."""
    return model.transform(block) if len(block) else np.empty((0, model.n_features_out), np.float32)


def _block_rows(X: Any) -> int:
    return max(1, _BLOCK_VALUES // max(1, math.prod(getattr(X, "shape", ())[1:])))
