"""Plot each row of results/vs_peers.json to results/vs_peers/<row>.svg: medians and the range of the runs."""

from typing import Any

import matplotlib as mpl
from _common import RESULTS, saved
from _measuring import COSTS
from matplotlib.figure import Figure


def runs(row: dict[str, Any], way: str, unit: str) -> tuple[float, list[float]]:
    """Return the median of a way, and the distances of the lowest and highest run from it."""
    median, values = row["medians"][way][unit], row["runs"][way][unit]
    return median, [median - min(values), max(values) - median]


def bars(row: dict[str, Any]) -> Figure:
    """Draw one bar for each way and one panel for each unit."""
    ways = list(row["medians"])
    units = list(row["medians"][ways[0]])
    figure = Figure(figsize=(4.5 * len(units) + 2, 0.4 * len(ways) + 1.2), layout="constrained")
    for axes, unit in zip(figure.subplots(1, len(units), sharey=True, squeeze=False)[0], units, strict=True):
        medians, reach = zip(*(runs(row, way, unit) for way in ways), strict=True)
        axes.barh(ways, medians, xerr=list(zip(*reach, strict=True)), color="C0", ecolor="0.3", capsize=2)
        axes.set_xlabel(f"{unit}, {'less' if unit in COSTS else 'more'} is better")
        axes.spines[["top", "right"]].set_visible(False)
    # The first way is at the top.
    axes.invert_yaxis()
    figure.suptitle(row["title"].replace("`", ""))
    return figure


def lines(row: dict[str, Any]) -> Figure:
    """Draw one line for each unit, over the sizes."""
    ways = list(row["medians"])
    sizes = [int(way.split()[0].replace(",", "")) for way in ways]
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    # The default cycle has fewer colours than there are losses.
    axes.set_prop_cycle(color=mpl.colormaps["tab20"].colors)
    for unit in row["medians"][ways[0]]:
        medians, reach = zip(*(runs(row, way, unit) for way in ways), strict=True)
        axes.errorbar(sizes, medians, yerr=list(zip(*reach, strict=True)), marker="o", capsize=2, label=unit)
    axes.set(xscale="log", yscale="log", xlabel=ways[0].split()[-1])
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right")
    figure.suptitle(row["title"].replace("`", ""))
    return figure


def main() -> None:
    folder = RESULTS / "vs_peers"
    folder.mkdir(exist_ok=True)
    # Makes the files reproducible.
    mpl.rcParams["svg.hashsalt"] = "skclr"
    for name, row in saved("vs_peers")["rows"].items():
        figure = (lines if name.startswith("growth") else bars)(row)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
