"""Descriptions of the data that a command has read: kinds of columns, the target, and doubtful columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skclr.command_line.files import Data
from skclr.data import encode_labels
from skclr.modalities.doubtful import doubtful_columns
from skclr.wording import counted

# Number of names that are listed.
_N_NAMES = 8
# Number of rows that are searched for doubtful columns.
_N_ROWS = 10_000
# A last column with at most this many distinct values may be the target.
_MOST_CLASSES = 20
_TARGET_NAMES = {"class", "classes", "label", "labels", "outcome", "target", "targets", "y"}


def describe(data: Data, target: str | None, text: str | None) -> str:
    """Return a line such as "read 4,000 rows: 10 numbers, 7 categories ('month', ...), target 'sold'"."""
    n_samples = len(data.X)
    if hasattr(data.X, "columns"):
        samples = f"{counted(n_samples, 'row')}: {_columns(data.X)}"
    elif isinstance(data.X, np.ndarray):
        samples = f"{counted(n_samples, 'sample')} of shape {data.X.shape[1:]}, {data.X.dtype}"
    elif isinstance(next(iter(data.X), ""), str):
        samples = counted(n_samples, "text") + ("" if text is None else f" of column {text!r}")
    else:
        folders = (
            "no folders of classes" if data.y is None else f"{counted(_n_distinct(data.y), 'folder')}, their classes"
        )
        return f"read {counted(n_samples, 'image')} in {folders}"
    return f"read {samples}, {_labels(data.y, target)}"


def describe_doubtful(data: Data) -> list[str]:
    """Return a sentence on each kind of doubtful column of a table.

    `fit` itself warns about identifiers and dates.
    """
    if not hasattr(data.X, "columns") or not len(data.X):
        return []
    some = np.arange(0, len(data.X), -(-len(data.X) // _N_ROWS))
    rows, classes = (some, None) if data.y is None else _labelled(some, data.y[some])
    found = doubtful_columns(data.X.iloc[rows], classes)
    # Constant in some rows does not imply constant in all.
    constants = [name for name in found.constants if _n_distinct(data.X[name]) == 1]
    sentences = [
        (constants, "the same value in every row: drop it"),
        (found.targets, "values that determine the target: drop it unless it is known beforehand"),
    ]
    lines = [f"column{'s' * (len(names) > 1)} {_listed(names)}: {what}" for names, what in sentences if names]
    if data.y is None and (name := _likely_target(data.X)) is not None:
        lines.insert(0, f"column {name!r} is used as a feature: if it is the target, name it by --target")
    return lines


def _columns(frame: Any) -> str:
    from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

    kinds: dict[str, list[Any]] = {"number": [], "date": [], "category": []}
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        is_number = is_numeric_dtype(dtype) and not is_bool_dtype(dtype)
        kinds["number" if is_number else "date" if is_datetime64_any_dtype(dtype) else "category"].append(name)
    parts = [counted(len(kinds["number"]), "number")] if kinds["number"] else []
    for kind, plural in (("date", "dates"), ("category", "categories")):
        if kinds[kind]:
            parts.append(f"{counted(len(kinds[kind]), kind, plural)} ({_listed(kinds[kind])})")
    return ", ".join(parts) or "no columns"


def _labels(y: np.ndarray | None, target: str | None) -> str:
    if y is None:
        return "no target"
    name = "" if target is None else f" {target!r}"
    return f"target{name} ({counted(_n_distinct(y), 'distinct value')})"


def _n_distinct(values: Any) -> int:
    # As text, since lists in a Parquet column cannot be hashed.
    return len(set(map(str, values)))


def _listed(names: Sequence[Any]) -> str:
    listed = ", ".join(repr(name) for name in names[:_N_NAMES])
    return listed + (", ..." if len(names) > _N_NAMES else "")


def _labelled(rows: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the labelled rows and their classes; all rows and None if y is continuous."""
    try:
        labels = encode_labels(y)
    except (TypeError, ValueError):
        return rows, None
    if not 2 <= len(labels.classes) <= _MOST_CLASSES:
        return rows, None
    return rows[labels.labelled], labels.codes[labels.labelled]


def _likely_target(frame: Any) -> Any:
    """Return a column with a typical target name, else the last one if it has few values, else None."""
    for name in frame.columns:
        if str(name).lower() in _TARGET_NAMES:
            return name
    last = frame.columns[-1]
    is_quantity = frame[last].dtype.kind == "f"
    return last if not is_quantity and 2 <= _n_distinct(frame[last]) <= _MOST_CLASSES else None
