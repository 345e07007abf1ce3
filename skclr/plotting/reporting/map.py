"""The data of the report's map: position, appearance and neighbours of each row."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skclr.data import Rows
from skclr.modalities.text import read_texts
from skclr.plotting.embedding import TITLES, is_scale, numeric_first, project
from skclr.plotting.labels import UNLABELLED_NAME, label_name
from skclr.plotting.neighbors import most_similar
from skclr.plotting.samples import Drawing, draw_samples, readable, shortened

N_NEIGHBORS = 11
# Name of the column of y.
LABEL = "label"
# Largest numbers of table columns, and of characters of a text, that are shown next to a point.
_MOST_COLUMNS = 30
_MOST_CHARACTERS = 400
# Number of rows that are read at once.
_CHUNK = 512
# Number of pixels of all thumbnails together, a few megabytes of the file.
_PIXELS = 2**24
_TILES_A_ROW, _TILES_A_SHEET = 32, 1024
# Up to this many pixels PNG, which unlike JPEG is lossless, is small enough.
_PNG_PIXELS = 2**20
_SHOWN_HEIGHT = 96


def map_data(
    embedder: Any, X: Any, embedding: np.ndarray, columns: dict[str, Any], methods: Sequence[str], random_state: Any
) -> dict[str, Any]:
    """Return the data of each row for the page.

    Parameters
    ----------
    embedder : fitted embedder.
    X, embedding : n samples, and their embedding (n, d).
    columns : further columns by name, (n,) each.
    methods : names in PROJECTIONS.
    random_state : seed of the projections.
    """
    rows, similarities = most_similar(embedding, N_NEIGHBORS)
    projections = [
        {"name": TITLES[method], "points": encoded(_unit_square(project(embedding, method, random_state)), np.float32)}
        for method in methods
    ]
    looks, table = _appearance(embedder, X)
    return {
        "n": len(embedding),
        "projections": projections,
        "columns": [encode_column(name, values) for name, values in {**columns, **table}.items()],
        "neighbors": {
            "k": rows.shape[1],
            "rows": encoded(rows, np.int32),
            "similarities": encoded(similarities, np.float32),
        },
        **looks,
    }


def encoded(values: Any, dtype: Any) -> str:
    """Return an array as base64, little-endian."""
    array = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode()


def encode_column(name: str, values: Any) -> dict[str, Any]:
    """Return a column as numbers, or as names of classes and codes."""
    values = np.asarray(values)
    if name == LABEL and values.dtype == object:
        return {**_encode_names(name, [label_name(label) for label in values]), "unlabelled": UNLABELLED_NAME}
    if values.dtype == object and all(isinstance(value, float | int) for value in values):
        values = values.astype(float)
    if is_scale(values):
        return {"name": str(name), "numbers": encoded(values, np.float64)}
    return _encode_names(name, [readable(value) for value in values])


def _encode_names(name: str, texts: list[str]) -> dict[str, Any]:
    names = sorted(set(texts), key=numeric_first)
    code_of = {name: code for code, name in enumerate(names)}
    return {"name": str(name), "names": names, "codes": encoded([code_of[text] for text in texts], np.int32)}


def _unit_square(points: np.ndarray) -> np.ndarray:
    """Scale a map to the unit square, so that float32 and the page do not depend on its units."""
    centered = points - (points.max(0) + points.min(0)) / 2
    return centered / (np.abs(centered).max() or 1.0)


def _appearance(embedder: Any, X: Rows) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return tiles or texts that represent rows, or the columns of a table."""
    drawn: Any = (draw_samples(embedder, block) for block in X.blocks(_CHUNK))
    first: Any = draw_samples(embedder, X[:1])[0]
    if first.kind == "picture":
        return {"tiles": _tiles(first, (drawing for chunk in drawn for drawing in chunk), len(X))}, {}
    if first.kind == "words":
        texts = read_texts(X.single())
        return {"texts": [shortened(text, _MOST_CHARACTERS) for text in texts]}, {}
    values = np.array([drawing.values[:_MOST_COLUMNS] for chunk in drawn for drawing in chunk])
    return {}, dict(zip(first.names, values.T, strict=False))


def _tiles(first: Any, drawings: Any, n_samples: int) -> dict[str, Any]:
    from PIL import Image

    height = tile_height(first, n_samples)
    width = first.tile(height).width
    sheets = []
    for i, drawing in enumerate(drawings):
        place = i % _TILES_A_SHEET
        if not place:
            n_here = min(_TILES_A_SHEET, n_samples - i)
            size = width * min(_TILES_A_ROW, n_here), height * -(-n_here // _TILES_A_ROW)
            sheets.append(Image.new("RGB", size))
        sheets[-1].paste(drawing.tile(height), (place % _TILES_A_ROW * width, place // _TILES_A_ROW * height))
    exact = n_samples * width * height <= _PNG_PIXELS
    return {
        "sheets": [data_uri(sheet, exact=exact) for sheet in sheets],
        "width": width,
        "height": height,
        "per_row": min(_TILES_A_ROW, n_samples),
        "per_sheet": _TILES_A_SHEET,
        "scale": _SHOWN_HEIGHT / height,
    }


def tile_height(drawing: Drawing, n_samples: int) -> int:
    """Return the height at which all tiles together are small enough, at most that of the image itself."""
    probe = drawing.tile(_SHOWN_HEIGHT)
    affordable = math.sqrt(_PIXELS / n_samples * probe.height / probe.width)
    own = drawing.pixels.shape[0] if hasattr(drawing, "pixels") and not drawing.wide else _SHOWN_HEIGHT
    return int(max(8, min(own, _SHOWN_HEIGHT, affordable)))


def data_uri(image: Any, *, exact: bool) -> str:
    """Return a Pillow image as a data URI."""
    file = io.BytesIO()
    if exact:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "JPEG", quality=85, subsampling=0)
    return f"data:image/{'png' if exact else 'jpeg'};base64,{base64.b64encode(file.getvalue()).decode()}"
