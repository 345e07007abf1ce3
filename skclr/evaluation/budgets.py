"""Label budgets: the number of labels per class that a judge receives, and their draws."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skclr.data import Labels, encode_labels
from skclr.randomness import derive_seeds

Count = int | str


class Budgets(NamedTuple):
    """Numbers of labels per class that a judge receives, and the number of draws.

    Attributes
    ----------
    labels_per_class : numbers of labels, or "all".
    n_draws : number of draws for each number; "all" is drawn once.
    """

    labels_per_class: tuple[Count, ...] = ("all",)
    n_draws: int = 1

    def draw(self, labels: Labels, random_state: int) -> dict[Count, list[np.ndarray]]:
        """Return the row numbers of each draw, by number of labels."""
        return {n: draw_rows(labels, n, self.n_draws, random_state) for n in self.labels_per_class}

    def within(self, *parts: Labels) -> Budgets:
        """Return the budgets with "all" in place of numbers that no class reaches, each number once.

        Parameters
        ----------
        parts : labels of the training rows of each split.

        Raises
        ------
        ValueError : as `draw_rows`.
        """
        most = max(labels.counts.max() for labels in parts)
        for n_labels in self.labels_per_class:
            check_n_labels(n_labels)
        reached = ("all" if n == "all" or int(n) > most else n for n in self.labels_per_class)
        return self._replace(labels_per_class=tuple(dict.fromkeys(reached)))


def draw_labels(y: Any, n_labels: Count, n_draws: int, random_state: int = 0) -> list[np.ndarray]:
    """Draw rows whose labels are used, the same number per class.

    Parameters
    ----------
    y : (n,) classes, in any container; rows with -1 or a missing value are unlabelled and never drawn.
    n_labels : rows per class; a class with fewer contributes all of them. "all" selects every labelled row, once.
    n_draws : number of draws.
    random_state : seed.

    Returns
    -------
    Row numbers of each draw.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import draw_labels
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> [y[rows].tolist() for rows in draw_labels(y, 2, n_draws=3)]
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    return draw_rows(encode_labels(y), n_labels, n_draws, random_state)


def draw_rows(labels: Labels, n_labels: Count, n_draws: int, random_state: int) -> list[np.ndarray]:
    """Draw rows as `draw_labels` does, from encoded labels.

    Raises
    ------
    ValueError : for `n_labels` that is neither "all" nor a whole number of 1 or more.
    """
    check_n_labels(n_labels)
    if n_labels == "all":
        return [labels.labelled]
    of_class = [np.flatnonzero(labels.codes == code) for code in np.unique(labels.codes[labels.labelled])]
    generators = map(np.random.default_rng, derive_seeds(n_draws, random_state, int(n_labels)))
    return [
        np.concatenate([rng.choice(rows, min(int(n_labels), len(rows)), replace=False) for rows in of_class])
        for rng in generators
    ]


def check_n_labels(n_labels: Any) -> None:
    """Raise a ValueError unless `n_labels` is "all" or a whole number of 1 or more."""
    is_count = isinstance(n_labels, Integral) and not isinstance(n_labels, bool) and int(n_labels) >= 1
    if not (is_count or (isinstance(n_labels, str) and n_labels == "all")):
        raise ValueError(f"labels_per_class has {n_labels!r}. Use 'all' or a whole number of 1 or more.")
