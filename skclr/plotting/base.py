"""Shared parts of the displays: matplotlib, imported on first use, a palette, and grids of small axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from skclr.optional import import_optional

# Petroff 2021, "Accessible color sequences for data visualization": distinguishable with any colour vision.
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#92dadb", "#b9ac70", "#717581", "#94a4a2",
)  # fmt: skip
GREY = "#9a9a9a"
# Colour of rows without a label.
PALE = "#d4d4d4"


def pyplot() -> Any:
    """Return matplotlib.pyplot.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    """
    return import_optional("matplotlib.pyplot", "plot", "a display")


def one_axes(ax: Any) -> Any:
    """Return the axes to draw into: the given ones, or new ones if None."""
    return pyplot().subplots(layout="constrained")[1] if ax is None else ax


def grid_of_axes(ax: Any, n_rows: int, n_columns: int, cell: tuple[float, float]) -> tuple[Any, np.ndarray]:
    """Return a grid of small axes, within the given axes or in a new figure.

    Parameters
    ----------
    ax : axes that the grid replaces, or None.
    n_rows, n_columns : size of the grid.
    cell : width and height of one of the axes in a new figure, in inches.

    Returns
    -------
    The bounding axes and the (n_rows, n_columns) array of small ones.
    """
    if ax is None:
        size = cell[0] * n_columns, cell[1] * n_rows
        ax = pyplot().subplots(figsize=size, layout="constrained")[1]
    ax.set_axis_off()
    grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    return ax, grid.subplots(squeeze=False)


def remove_ticks(ax: Any) -> None:
    """Remove ticks and frame."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
