"""A history as columns, for files: written record by record, a million steps would be too long for a file's header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

_DTYPES = {bool: np.bool_, int: np.int64, float: np.float64}


def to_columns(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the epochs of a history, and the batches of all epochs one after the other, as columns.

    Parameters
    ----------
    history : dictionaries of what each epoch recorded, and under "batches" those of what each batch did.
    """
    epochs = [{name: value for name, value in epoch.items() if name != "batches"} for epoch in history]
    batches = [batch for epoch in history for batch in epoch["batches"]]
    n_batches = np.array([len(epoch["batches"]) for epoch in history], dtype=np.int64)
    return {"epochs": _to_columns(epochs), "n_batches": n_batches, "batches": _to_columns(batches)}


def from_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the history of which `to_columns` made columns.

    Raises
    ------
    ValueError : if the columns do not fit together.
    """
    n_batches = columns["n_batches"].tolist()
    epochs = _from_columns(columns["epochs"], len(n_batches))
    if any(type(n) is not int or n < 0 for n in n_batches):
        raise ValueError("an epoch has no number of batches")
    batches = iter(_from_columns(columns["batches"], sum(n_batches)))
    return [{**epoch, "batches": list(islice(batches, n))} for epoch, n in zip(epochs, n_batches, strict=True)]


def _to_columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for row, record in enumerate(records):
        for name, value in record.items():
            rows, values = columns.setdefault(name, ([], []))
            rows.append(row)
            values.append(value.item() if isinstance(value, np.generic) else value)
    return {
        name: {"rows": None if len(rows) == len(records) else np.array(rows), "values": _as_array(values)}
        for name, (rows, values) in columns.items()
    }


def _from_columns(columns: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    # A record that is empty is one of a batch that was cut short, the last of its epoch.
    if n > 2 * sum(len(column["values"]) for column in columns.values()) + 1:
        raise ValueError(f"{n} records have too few values")
    records: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, column in columns.items():
        rows = range(n) if column["rows"] is None else column["rows"].tolist()
        if not all(type(row) is int and 0 <= row < n for row in rows):
            raise ValueError(f"{name} is recorded where there is no record")
        values = column["values"]
        for row, value in zip(rows, values.tolist() if isinstance(values, np.ndarray) else values, strict=True):
            records[row][name] = value
    return records


def _as_array(values: list[Any]) -> np.ndarray | list[Any]:
    """Return numbers of one kind as an array, and other values as they are."""
    kinds = {type(value) for value in values}
    dtype = _DTYPES.get(kinds.pop()) if len(kinds) == 1 else None
    if dtype is None or (dtype is np.int64 and not all(-(2**63) <= value < 2**63 for value in values)):
        return values
    return np.array(values, dtype=dtype)
