"""Columns of a table that are not features: identifiers, dates as text, constants, and copies of the target."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skclr.data.columns import is_missing
from skclr.modalities.base import unmasked
from skclr.modalities.categories import holds_text

# A column of text with more distinct values than this, and in nearly every row another one, identifies rows.
_MOST_CATEGORIES = 50
_NEARLY_ALL = 0.9
# Number of values that are inspected to recognise dates.
_FIRST_VALUES = 100
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_TIME = r"([T ,]+\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*([ap]m)?\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?)?"
_DATE = re.compile(
    rf"\s*(\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}[ -]{_MONTH}[ ,-]*\d{{4}}|{_MONTH} \d{{1,2}},? \d{{4}}){_TIME}\s*",
    re.IGNORECASE,
)


class DoubtfulColumns(NamedTuple):
    """Names of columns that are not features, or their positions if the table has no names.

    Attributes
    ----------
    identifiers : text that is different in nearly every row.
    dates : text that spells dates.
    constants : columns with the same value in every row.
    targets : the target itself, or values that determine it.
    """

    identifiers: list[Any]
    dates: list[Any]
    constants: list[Any]
    targets: list[Any]


def doubtful_columns(X: Any, y: Any = None) -> DoubtfulColumns:
    """Find the columns of a table that are not features.

    Parameters
    ----------
    X : pandas or polars DataFrame, or (n, d) array, dense or sparse.
    y : (n,) classes, to look for columns that determine them; None skips that. The caller drops rows without a class.

    Returns
    -------
    Names or positions of the columns, by reason.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.modalities.doubtful import doubtful_columns
    >>> y = np.arange(60) % 2
    >>> X = np.c_[np.random.default_rng(0).normal(size=60), np.ones(60), 3.0 * y]
    >>> doubtful_columns(X, y)
    DoubtfulColumns(identifiers=[], dates=[], constants=[1], targets=[2])
    """
    found = DoubtfulColumns([], [], [], [])
    for name, column in named_columns(X):
        known = [value for value in column.tolist() if not is_missing(value)]
        texts = [value for value in known if isinstance(value, str)]
        distinct = {str(value) for value in known}
        if are_dates(texts):
            found.dates.append(name)
        elif texts and is_identifier(len(distinct), len(known)):
            found.identifiers.append(name)
        if len(distinct) == 1 and len(known) == len(column):
            found.constants.append(name)
        if y is not None and determines(column, np.asarray(y)):
            found.targets.append(name)
    return found


def warn_of_doubtful(names: list[Any], counts: Sequence[Counter[Any]]) -> None:
    """Warn about columns of text that are not features: identifiers and dates."""
    texts = [(name, times) for name, times in zip(names, counts, strict=True) if holds_text(times)]
    dates = [name for name, times in texts if are_dates(times)]
    ids = [name for name, times in texts if name not in dates and is_identifier(len(times), times.total())]
    kinds = {"text that differs in nearly every row": ids, "dates as text": dates}
    found = [f"{', '.join(map(repr, names))} ({kind})" for kind, names in kinds.items() if names]
    if found:
        warnings.warn(
            f"As categories, columns of X carry no information about new rows: {', '.join(found)}. "
            "Drop them, or convert them to numbers.",
            UserWarning,
            stacklevel=2,
        )


def named_columns(X: Any) -> list[tuple[Any, np.ndarray]]:
    """Return the columns of a table with their names, or their positions if it has none."""
    if hasattr(X, "columns"):
        names = list(X.columns)
        columns = [np.empty(len(X), dtype=object) for _ in names]
        for name, column in zip(names, columns, strict=True):
            column[:] = X[name].to_list()
        return list(zip(names, columns, strict=True))
    dense = X.toarray() if hasattr(X, "toarray") else np.asarray(unmasked(X))
    return list(enumerate(dense.T))


def is_identifier(n_distinct: int, n_values: int) -> bool:
    """Return whether a column of text with that many distinct values among its values identifies rows."""
    return n_distinct > _MOST_CATEGORIES and n_distinct >= _NEARLY_ALL * n_values


def are_dates(texts: Iterable[str]) -> bool:
    """Return whether there are texts and the first ones all spell dates."""
    first = [text for text, _ in zip(texts, range(_FIRST_VALUES), strict=False)]
    return bool(first) and all(_DATE.fullmatch(text) for text in first)


def determines(column: np.ndarray, y: np.ndarray) -> bool:
    """Return whether one column determines the class of every row.

    It does if each of its values, which occur twice on average, comes with one class, or if a decision tree with twice
    as many leaves as there are classes, over the ordered numbers or texts, predicts every row.
    """
    # Imported here: it imports all linear models, which would slow down `import skclr`.
    from sklearn.tree import DecisionTreeClassifier

    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        return False
    if column.dtype.kind not in "biuf":
        column = np.unique(column.astype(str), return_inverse=True)[1]
    values = np.unique(column)
    pairs = np.unique(np.column_stack([column, codes]), axis=0)
    if len(pairs) == len(values) <= len(column) / 2:
        return True
    tree = DecisionTreeClassifier(max_leaf_nodes=2 * len(classes), random_state=0)
    return bool(tree.fit(column[:, None], codes).score(column[:, None], codes) == 1)
