"""Mean ranks of the panel's rows, and which of them differ: Friedman's test and Nemenyi's critical difference."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from _panel_tables import Row, covering
from matplotlib.figure import Figure
from scipy.stats import friedmanchisquare, rankdata, studentized_range

# Makes the files reproducible.
mpl.rcParams["svg.hashsalt"] = "skclr"


class Ranks(NamedTuple):
    """Mean ranks of rows over sets, the p-value of equal ranks, and the difference that is significant at 5 %."""

    labels: list[str]
    means: np.ndarray
    n_sets: int
    p: float
    critical: float


def ranked(rows: list[Row], budget: str) -> Ranks | None:
    """Rank the rows measured on all sets by their accuracy at a budget; None for fewer than 3 rows or 2 sets."""
    rows = [row for row in covering(rows, "all")[0] if any(budget in found["scores"] for found in row.sets.values())]
    sets = [name for name in (rows[0].sets if rows else ()) if all(budget in row.sets[name]["scores"] for row in rows)]
    if len(rows) < 3 or len(sets) < 2:
        return None
    accuracies = np.array([[np.mean(row.sets[n]["scores"][budget]["accuracy"]) for row in rows] for n in sets])
    k, n = len(rows), len(sets)
    critical = studentized_range.ppf(0.95, k, np.inf) / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5
    p = friedmanchisquare(*accuracies.T).pvalue
    return Ranks([row.label for row in rows], rankdata(-accuracies, axis=1).mean(0), n, float(p), float(critical))


def cliques(means: np.ndarray, critical: float) -> list[tuple[float, float]]:
    """Return the first and last rank of each largest group within the critical difference."""
    ordered, found = np.sort(means), []
    for first in ordered:
        last = ordered[ordered <= first + critical].max()
        if last > first and (not found or last > found[-1][1]):
            found.append((float(first), float(last)))
    return found


def diagram(kind: str, ranks: Ranks, budget: str) -> Figure:
    """Draw the critical-difference diagram: rows by mean rank, and bars over those that do not differ."""
    order, bars = np.argsort(ranks.means), cliques(ranks.means, ranks.critical)
    figure = Figure(figsize=(8, 0.28 * len(order) + 0.12 * len(bars) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(ranks.means[order], range(len(order)), "o", color="C0")
    axes.set_yticks(range(len(order)), [f"{ranks.labels[i]}  {ranks.means[i]:.1f}" for i in order])
    for number, bar in enumerate(bars, 1):
        axes.plot(bar, [-0.5 - 0.5 * number] * 2, color="0.3", linewidth=3)
    axes.invert_yaxis()
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    test = f"Friedman p = {ranks.p:.1g}, Nemenyi's critical difference {ranks.critical:.2f}"
    axes.set_xlabel("mean rank, less is better")
    # Above all of the figure, since the axes may be narrower.
    figure.suptitle(f"{kind}, {budget} labels per class, {ranks.n_sets} sets\n{test}", fontsize="medium")
    return figure
