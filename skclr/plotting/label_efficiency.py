"""Plots of the score against the number of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.model_selection import train_test_split

from skclr.data import Rows, check_splittable, encode_labels
from skclr.evaluation.budgets import Budgets
from skclr.evaluation.candidates import PLAIN, with_baselines
from skclr.evaluation.harness import Trial, efficiency_records
from skclr.evaluation.judges import linear_judge
from skclr.plotting.base import COLORS, GREY, one_axes

# Baselines have the same colour in every plot.
_BASELINE_COLORS = {"raw features": GREY, "PCA": COLORS[1], "untrained encoder": COLORS[3], PLAIN: COLORS[8]}


class LabelEfficiencyDisplay:
    """The score of a classifier against the number of labels, one line for each kind of features.

    Parameters
    ----------
    records : list of dict
        With the keys features, labels_per_class, mean, low and high, as returned by `skclr.evaluation.label_efficiency`
        and `skclr.compare`.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    lines_ : dict of str to matplotlib Line2D
        The line of each kind of features.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.plotting import LabelEfficiencyDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> display = LabelEfficiencyDisplay.from_estimator(embedder, X, y, labels_per_class=(5,), n_draws=1)
    >>> sorted({record["features"] for record in display.records})
    ['PCA', 'embedding + plain features', 'embedding alone', 'plain features', 'raw features', 'untrained encoder']
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self.records = records

    @classmethod
    def from_estimator(
        cls,
        embedder: Any,
        X: Any,
        y: Any,
        *,
        labels_per_class: Sequence[int | str] = (1, 5, 10, 50, "all"),
        n_draws: int = 10,
        test_size: float = 0.3,
        random_state: int = 0,
        ax: Any = None,
    ) -> Self:
        """Score a linear probe on the embedding, the raw features, their PCA and the untrained encoder.

        If `transform` returns plain features next to the embedding, each of them is shown alone, too.

        Parameters
        ----------
        embedder : ContrastiveEmbedder
            Fitted. If it was fitted on all of X, it has seen the test rows too, without labels.
        X : array or DataFrame of n samples
            As for `transform`.
        y : array of shape (n,)
            Classes; rows with -1 or a missing value are unlabelled and left out.
        labels_per_class : sequence of int or "all", default=(1, 5, 10, 50, "all")
            Numbers of labels per class; numbers that no class reaches become "all".
        n_draws : int, default=10
            Number of draws of labels for each of these.
        test_size : float, default=0.3
            Share of the labelled rows used for scoring.
        random_state : int, default=0
            Seed of the split and of the draws.
        ax : matplotlib Axes, default=None
            None creates a figure.

        Returns
        -------
        The display.
        """
        X = Rows.of(X)
        labels = encode_labels(y, len(X))
        check_splittable(labels, "a label-efficiency curve")
        known, codes = labels.labelled, labels.codes
        n_test = max(math.ceil(test_size * len(known)), len(labels.classes))
        train, test = train_test_split(known, test_size=n_test, stratify=codes[known], random_state=random_state)
        budgets, judge = Budgets(tuple(labels_per_class), n_draws).within(labels.take(train)), linear_judge()
        scores = {
            name: Trial.of(candidate, X, labels, train, test).score_budgets(judge, budgets, random_state)
            for name, candidate in with_baselines(embedder).items()
        }
        return cls(efficiency_records(scores)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the lines, with a confidence interval of each mean.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.

        Returns
        -------
        The display.
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        counts = [str(n) for n in dict.fromkeys(record["labels_per_class"] for record in self.records)]
        self.lines_ = {}
        for name, color in colors([record["features"] for record in self.records]).items():
            own = [record for record in self.records if record["features"] == name]
            mean, low, high = (np.array([record[key] for record in own]) for key in ("mean", "low", "high"))
            dashed = "--" if name in _BASELINE_COLORS else "-"
            # A single score has no interval.
            spread = np.nan_to_num([mean - low, high - mean])
            bars = self.ax_.errorbar(
                counts, mean, spread, label=name, color=color, linestyle=dashed, marker="o", ms=4, capsize=3
            )
            self.lines_[name] = bars.lines[0]
        self.ax_.set(xlabel="labels per class", ylabel="score")
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False)
        return self


def colors(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each kind of features; baselines always have the same."""
    others = iter(color for color in COLORS if color not in _BASELINE_COLORS.values())
    return {name: _BASELINE_COLORS.get(name) or next(others, GREY) for name in dict.fromkeys(names)}
