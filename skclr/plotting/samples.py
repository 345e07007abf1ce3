"""Drawings of single samples, for each modality."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skclr.data import Rows
from skclr.modalities import Modality
from skclr.model import rows_of
from skclr.plotting.base import COLORS, GREY, pyplot, remove_ticks

# Number of rows of which views are made, including those shown.
_CONTEXT = 256
# As much of a table row and of a text as is readable in a small plot.
_SHOWN_COLUMNS = 8
_SHOWN_LINES = 5
_LINE = 34


class Drawing(ABC):
    """Base class of drawings of a sample, or of a view, from the result of `Modality.restore`.

    Attributes
    ----------
    kind : "picture", "row" (names and values) or "words".
    cell : required width and height, in inches.
    wide : whether it is wider than high, so that samples are arranged in rows.
    """

    kind: str
    cell: tuple[float, float] = (1.1, 1.1)
    wide: bool = False

    @classmethod
    def settings(cls, embedder: Any, samples: Any) -> dict[str, Any]:
        """Return settings shared by all drawings, learned from the original samples."""
        return {}

    @abstractmethod
    def __init__(self, sample: Any, **settings: Any) -> None: ...

    @abstractmethod
    def draw(self, ax: Any, original: Any = None) -> None:
        """Draw into matplotlib axes, and mark changes if the original is given."""

    def tile(self, height: int) -> Any:
        """Return a small Pillow image; for pictures only."""
        raise NotImplementedError

    def parts(self, original: Any = None) -> list[tuple[str, str, bool]]:
        """Return name and text of each part, and whether it changed; not for pictures."""
        raise NotImplementedError


class Picture(Drawing):
    """An image.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C); the first three channels are shown.
    limits : the values of black and white.
    """

    kind = "picture"
    colormap = "gray"

    def __init__(self, pixels: np.ndarray, limits: tuple[float, float]) -> None:
        if pixels.ndim == 3:
            pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]
        low, high = limits
        self.pixels = np.clip((pixels - low) / ((high - low) or 1.0), 0, 1)

    @classmethod
    def settings(cls, embedder: Any, samples: Any) -> dict[str, Any]:
        """Return the limits: 0 and 1 if all values lie between them, like those of uint8, else the extremes."""
        low, high = float(np.nanmin(samples)), float(np.nanmax(samples))
        return {"limits": (0.0, 1.0) if low >= 0 and 0.5 < high <= 1 else (low, high)}

    def draw(self, ax: Any, original: Any = None) -> None:
        """See `Drawing.draw`."""
        ax.imshow(self.pixels, cmap=self.colormap, vmin=0, vmax=1)
        remove_ticks(ax)

    def tile(self, height: int) -> Any:
        """Return the image at this height, keeping its aspect ratio."""
        from PIL import Image

        colors = self.pixels if self.pixels.ndim == 3 else pyplot().get_cmap(self.colormap)(self.pixels)[..., :3]
        image = Image.fromarray(np.round(255 * colors).astype(np.uint8))
        return image if image.height == height else image.resize((self._width(height), height))

    def _width(self, height: int) -> int:
        return max(1, round(height * self.pixels.shape[1] / self.pixels.shape[0]))


class Spectrogram(Picture):
    """A spectrogram (n_mels, frames), with low frequencies at the bottom."""

    cell = (2.4, 1.2)
    wide = True
    colormap = "magma"

    def __init__(self, energy: np.ndarray, limits: tuple[float, float]) -> None:
        super().__init__(without_padding(energy)[::-1], limits)

    def draw(self, ax: Any, original: Any = None) -> None:
        """See `Drawing.draw`."""
        super().draw(ax)
        ax.set_aspect("auto")

    def _width(self, height: int) -> int:
        return 2 * height


class Curves(Drawing):
    """A time series.

    Parameters
    ----------
    values : (C, T), NaN for missing values and padding; the first ten channels are drawn.
    """

    kind = "picture"
    cell = (2.4, 1.1)
    wide = True

    def __init__(self, values: np.ndarray) -> None:
        self.values = without_padding(values)[: len(COLORS)]

    def draw(self, ax: Any, original: Any = None) -> None:
        """See `Drawing.draw`."""
        if original is not None:
            ax.plot(original.values.T, color=GREY, alpha=0.4, linewidth=0.8)
        for channel, color in zip(self.values, COLORS, strict=False):
            ax.plot(channel, color=color, linewidth=1.1)
        remove_ticks(ax)

    def tile(self, height: int) -> Any:
        """Return the curves on a white background, twice as wide as high."""
        from PIL import Image, ImageDraw

        # Drawn larger than shown, since Pillow's lines are not antialiased.
        image = Image.new("RGB", (4 * height, 2 * height), "white")
        brush, (low, high) = ImageDraw.Draw(image), (np.nanmin(self.values), np.nanmax(self.values))
        x = np.linspace(2, image.width - 3, self.values.shape[1])
        y = (image.height - 3) - (self.values - low) / ((high - low) or 1.0) * (image.height - 6)
        for channel, color in zip(y, COLORS, strict=False):
            observed = ~np.isnan(channel)
            brush.line(np.column_stack([x, channel])[observed].ravel().tolist(), fill=color, width=2)
        return image.resize((2 * height, height))


class Row(Drawing):
    """A row of a table.

    Parameters
    ----------
    values : (d,) numbers and names of categories.
    names : (d,) names of the columns.
    """

    kind = "row"
    cell = (2.5, 1.5)
    wide = True

    def __init__(self, values: Any, names: list[str]) -> None:
        self.names = names
        self.values = values

    @property
    def texts(self) -> list[str]:
        """The values as text."""
        return [readable(value) for value in self.values]

    @classmethod
    def settings(cls, embedder: Any, samples: Any) -> dict[str, Any]:
        """Return the names of the columns, or their numbers without names."""
        numbered = [f"column {j}" for j in range(samples.shape[1])]
        return {"names": [str(name) for name in getattr(embedder, "feature_names_in_", numbered)]}

    def draw(self, ax: Any, original: Any = None) -> None:
        """See `Drawing.draw`."""
        remove_ticks(ax)
        n_shown = min(len(self.names), _SHOWN_COLUMNS)
        n_lines = n_shown + (n_shown < len(self.names))
        for j, (name, text, changed) in enumerate(self.parts(original)[:n_shown]):
            y = 1 - (j + 0.5) / n_lines
            _write(ax, 0.52, y, shortened(name), ha="right", color=GREY)
            _write(ax, 0.56, y, shortened(text), **({"color": COLORS[2], "weight": "bold"} if changed else {}))
        if n_shown < n_lines:
            _write(ax, 0.56, 0.5 / n_lines, f"and {len(self.names) - n_shown} more", color=GREY)

    def parts(self, original: Any = None) -> list[tuple[str, str, bool]]:
        """Return the names and values of the columns."""
        before = (original or self).texts
        return [(name, text, text != old) for name, text, old in zip(self.names, self.texts, before, strict=True)]


class Components(Row):
    """Principal components of the plain features, if the network learns from them."""

    @classmethod
    def settings(cls, embedder: Any, samples: Any) -> dict[str, Any]:
        """Return the numbers of the components."""
        return {"names": [f"component {j}" for j in range(samples.shape[1])]}


class Words(Drawing):
    """A text.

    Parameters
    ----------
    words : its tokens.
    """

    kind = "words"
    cell = (3.0, 0.95)
    wide = True

    def __init__(self, words: list[str]) -> None:
        self.words = [word for word in words if word]

    def draw(self, ax: Any, original: Any = None) -> None:
        """See `Drawing.draw`; a removed word leaves a line."""
        remove_ticks(ax)
        text = " ".join("_" * len(word) if gone else word for _, word, gone in self.parts(original))
        lines = textwrap.wrap(text, _LINE, max_lines=_SHOWN_LINES, placeholder=" …") or ["(no words)"]
        _write(ax, 0.02, 0.5, "\n".join(lines), linespacing=1.25)

    def parts(self, original: Any = None) -> list[tuple[str, str, bool]]:
        """Return the words of the original, marking removed ones, or those of the view if it adds or shuffles words."""
        before = (original or self).words
        left = iter(self.words)
        upcoming, parts = next(left, None), []
        for word in before:
            parts.append(("", word, word != upcoming))
            if word == upcoming:
                upcoming = next(left, None)
        return parts if upcoming is None else [("", word, False) for word in self.words]


DRAWINGS: dict[str, type[Drawing]] = {
    "tabular": Row,
    "image": Picture,
    "series": Curves,
    "audio": Spectrogram,
    "text": Words,
}


# -- from rows to drawings ------------------------------------------------------------------------


def draw_samples(embedder: Any, X: Any) -> list[Drawing]:
    """Return a drawing of each row of X."""
    check_is_fitted(embedder)
    X, modality = Rows.of(X).single(), embedder.model_.modality.base_modality
    return _drawings(embedder, modality, [X], [_read(embedder, X)])[0]


def draw_views(embedder: Any, X: Any, random_state: Any) -> tuple[list[Drawing], list[list[Drawing]]]:
    """Return a drawing of each row of X, and of each of its views, one list per view."""
    X = rows_of(embedder, X)
    views = [torch.from_numpy(view) for view in embedder.make_views(X.as_given(), random_state=random_state)]
    sides, modality = list(X.sides), embedder.model_.modality
    first = _read(embedder, sides[0])
    first = first if modality.prepare is None else modality.prepare(first)
    originals, *drawn = _drawings(embedder, modality, sides, [first, *views])
    return originals, drawn


def some_views(embedder: Any, X: Any, rows: np.ndarray, random_state: Any) -> tuple[list[Drawing], list[list[Drawing]]]:
    """Return a drawing of some rows of X and of their views, which may use values of other rows too."""
    X = rows_of(embedder, X)
    others = np.setdiff1d(some_rows(X, _CONTEXT, random_state), rows)
    originals, views = draw_views(embedder, X[np.concatenate([rows, others])], random_state)
    return originals[: len(rows)], [view[: len(rows)] for view in views]


def some_rows(X: Rows, most: int, random_state: Any) -> np.ndarray:
    """Return at most `most` random row numbers of X, in ascending order."""
    n = len(X)
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(random_state).choice(n, most, replace=False))


def _read(embedder: Any, X: Any) -> torch.Tensor:
    modality = embedder.model_.modality
    rows = modality.read(X, embedder, reset=False)
    return modality.to_tensor(rows[np.arange(rows.shape[0])])


def _drawings(embedder: Any, modality: Modality, sides: list[Any], batches: list[torch.Tensor]) -> list[list[Drawing]]:
    name = embedder.modality_
    if name not in DRAWINGS:
        raise ValueError(f"samples of modality {name!r} cannot be drawn. Add its Drawing to skclr.plotting.DRAWINGS.")
    drawing = DRAWINGS[name] if modality.base_modality is modality else Components
    # For pairs, each view may come from another side.
    sides = [sides[0], *sides[: len(batches) - 1]] if len(sides) > 1 else sides * len(batches)
    restored = [modality.restore(x, side) for x, side in zip(batches, sides, strict=True)]
    settings = drawing.settings(embedder, restored[0])
    return [[drawing(sample, **settings) for sample in batch] for batch in restored]


def readable(value: Any) -> str:
    """Return a value as short text; a dash for a missing value."""
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.6g}"
    return "–" if value is None else str(value)


def shortened(text: str, width: int = 16) -> str:
    """Return a text, truncated if it is too long."""
    return text if len(text) <= width else text[: width - 1] + "…"


def without_padding(values: np.ndarray) -> np.ndarray:
    """Return (C, T) without its end where no channel has a value."""
    observed = np.flatnonzero(~np.isnan(values).all(0))
    return values[:, : observed[-1] + 1] if len(observed) else values


def _write(ax: Any, x: float, y: float, text: str, **style: Any) -> None:
    # An unescaped $ would start a formula.
    ax.text(x, y, text.replace("$", r"\$"), transform=ax.transAxes, va="center", fontsize=8, **style)
