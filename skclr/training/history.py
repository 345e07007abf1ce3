"""A history as columns, for files: as records, a million steps would be too long for the header of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

_DTYPES = {bool: np.bool_, int: np.int64, float: np.float64}
# Memory allowed for the records, in addition to four times that of their columns.
_FREE_BYTES = 2**26
_RECORD_BYTES = 256
# Memory of each value beyond the first six of a record.
_VALUE_BYTES = 64


def to_columns(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the epochs of a history, and the concatenated batches of all epochs, as columns.

    Parameters
    ----------
    history : one dictionary per epoch, with those of its batches under "batches".
    """
    epochs = [{name: value for name, value in epoch.items() if name != "batches"} for epoch in history]
    batches = [batch for epoch in history for batch in epoch["batches"]]
    n_batches = np.array([len(epoch["batches"]) for epoch in history], dtype=np.int64)
    return {"epochs": _to_columns(epochs), "n_batches": n_batches, "batches": _to_columns(batches)}


def from_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the history from the result of `to_columns`, without batches if there are too many.

    Raises
    ------
    ValueError : if the columns are inconsistent.
    """
    n_bytes = _check_columns(columns)
    counts, epochs, batches = columns["n_batches"], columns["epochs"], columns["batches"]
    n_most = _FREE_BYTES + 4 * n_bytes
    n_epoch_bytes = _cost(epochs, len(counts))
    if n_epoch_bytes > n_most:
        raise ValueError(f"a history of {len(counts):,} epochs is longer than its file allows")
    n_batches = counts.tolist()
    if any(n < 0 for n in n_batches):
        raise ValueError("an epoch lacks its number of batches")
    history = _from_columns(epochs, len(n_batches), n_kept=len(n_batches))
    n = sum(n_batches)
    # Records take many times the memory of columns. If a run is too long for them, only its epochs and its first batch,
    # with which training compares its losses, are kept.
    n_kept = n if n_epoch_bytes + _cost(batches, n) <= n_most else 1
    records = iter(_from_columns(batches, n, n_kept=n_kept))
    for epoch, count in zip(history, n_batches, strict=True):
        epoch["batches"] = list(islice(records, count))
    return history


def _cost(columns: Mapping[str, Any], n: int) -> int:
    """Return roughly how many bytes n records take: a flag takes one byte in a column, but dozens in a dictionary."""
    n_values = sum(len(column["values"]) for column in columns.values())
    return _RECORD_BYTES * n + _VALUE_BYTES * max(0, n_values - 6 * n)


def _check_columns(columns: Mapping[str, Any]) -> int:
    """Return the bytes of all arrays; raise a ValueError unless they are valid columns of `to_columns`."""
    n_bytes = _check_array("n_batches", columns["n_batches"], np.int64)
    for name, column in (*columns["epochs"].items(), *columns["batches"].items()):
        rows, values = column["rows"], column["values"]
        n_bytes += 0 if rows is None else _check_array(name, rows, np.int64)
        n_bytes += 0 if isinstance(values, list) else _check_array(name, values, *_DTYPES.values())
        if rows is not None and len(rows) != len(values):
            raise ValueError(f"{name} has {len(values)} values for {len(rows)} records")
    return n_bytes


def _check_array(name: str, array: Any, *dtypes: type) -> int:
    # An array of more dimensions may be long without taking any memory.
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype not in dtypes:
        raise ValueError(f"{name} is not a column of numbers")
    return array.nbytes


def _to_columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for row, record in enumerate(records):
        for name, value in record.items():
            rows, values = columns.setdefault(name, ([], []))
            rows.append(row)
            values.append(value.item() if isinstance(value, np.generic) else value)
    return {
        name: {
            "rows": None if len(rows) == len(records) else np.array(rows, dtype=np.int64),
            "values": _as_array(values),
        }
        for name, (rows, values) in columns.items()
    }


def _from_columns(columns: Mapping[str, Any], n: int, *, n_kept: int) -> list[dict[str, Any]]:
    """Return the first `n_kept` of n records."""
    # An empty record is that of an interrupted batch, the last of its epoch.
    if n > 2 * sum(len(column["values"]) for column in columns.values()) + 1:
        raise ValueError(f"{n} records have too few values")
    records: list[dict[str, Any]] = [{} for _ in range(min(n, n_kept))]
    for name, column in columns.items():
        rows, values = column["rows"], column["values"]
        if rows is None and len(values) != n:
            raise ValueError(f"{name} has {len(values)} values for {n} records")
        if rows is not None and not ((rows >= 0) & (rows < n)).all():
            raise ValueError(f"{name} has an index beyond the records")
        for row, value in zip(range(n) if rows is None else rows, values, strict=True):
            if row < n_kept:
                records[row][name] = value.item() if isinstance(value, np.generic) else value
    return records


def _as_array(values: list[Any]) -> np.ndarray | list[Any]:
    """Return numbers of one type as an array, and other values unchanged."""
    kinds = {type(value) for value in values}
    dtype = _DTYPES.get(kinds.pop()) if len(kinds) == 1 else None
    if dtype is None or (dtype is np.int64 and not all(-(2**63) <= value < 2**63 for value in values)):
        return values
    return np.array(values, dtype=dtype)
