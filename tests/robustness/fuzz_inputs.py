"""Values, files and command lines from the bytes that a fuzzer gives."""

import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy import sparse

DTYPES = ["f4", "f8", "i8", "u1", "i2", "?", "c16", "O", "U3", "M8[s]", "f2"]
SPECIAL = [
    *(0, 1, -1, 2, 1.5, 0.5, float("nan"), float("inf"), -float("inf"), 1e308, 2**70, True),
    *(None, "", "a b", b"x", pd.NA, [], {}),
]
CELLS = ["", "1", "-2.5", "nan", "1e999", "a", '"', "a,b", "\n", "2020-02-29", "é", "True", "\0", "<b>"]
NAMES = ["a", "b", "label", "", "a.1", "<img src=x>", "X", "y", "../x", "/x", "0"]
FORMATS = ["png", "gif", "bmp", "tiff", "jpeg", "webp", "ppm"]


def pick(draw: Any, choices: Any) -> Any:
    return choices[draw.ConsumeIntInRange(0, len(choices) - 1)]


def several(draw: Any, most: int) -> range:
    return range(draw.ConsumeIntInRange(0, most))


# -- values -----------------------------------------------------------------------------------------------


def scalar(draw: Any) -> Any:
    if draw.ConsumeBool():
        return pick(draw, SPECIAL)
    return draw.ConsumeFloat() if draw.ConsumeBool() else draw.ConsumeUnicode(6)


def array(draw: Any) -> np.ndarray:
    shape = [draw.ConsumeIntInRange(0, 6) for _ in several(draw, 5)]
    values = np.array([draw.ConsumeFloat() for _ in range(8)])
    with np.errstate(all="ignore"):
        return np.resize(values, shape).astype(pick(draw, DTYPES))


def frame(draw: Any) -> Any:
    n_rows = draw.ConsumeIntInRange(0, 5)
    columns = {scalar(draw) if draw.ConsumeBool() else f"c{j}": None for j in several(draw, 4)}
    return pd.DataFrame({str(name): [scalar(draw) for _ in range(n_rows)] for name in columns})


def anything(draw: Any, depth: int = 0) -> Any:
    match draw.ConsumeIntInRange(0, 7):
        case 0 | 1:
            return array(draw)
        case 2:
            return frame(draw)
        case 3:
            return [draw.ConsumeUnicode(9) for _ in several(draw, 5)]
        case 4 if depth < 3:
            items = [anything(draw, depth + 1) for _ in several(draw, 4)]
            return tuple(items) if draw.ConsumeBool() else items
        case 5:
            return [array(draw) for _ in several(draw, 4)]
        case 6:
            dense = np.resize(np.array([0.0, draw.ConsumeFloat()]), (draw.ConsumeIntInRange(0, 4), 3))
            return sparse.csr_array(dense)
    return scalar(draw)


# -- files ------------------------------------------------------------------------------------------------


def altered(draw: Any, raw: bytes) -> bytes:
    """Change a few bytes here and there, or none."""
    for _ in several(draw, 4):
        start, length = draw.ConsumeIntInRange(0, len(raw)), draw.ConsumeIntInRange(0, 8)
        raw = raw[:start] + draw.ConsumeBytes(draw.ConsumeIntInRange(0, 12)) + raw[start + length :]
    return raw


def text_table(draw: Any) -> bytes:
    separator, n_columns = pick(draw, ",\t;"), draw.ConsumeIntInRange(0, 4)
    rows = [[pick(draw, NAMES) for _ in range(n_columns)]]
    rows += [[pick(draw, CELLS) for _ in range(n_columns)] for _ in several(draw, 9)]
    return altered(draw, "\n".join(map(separator.join, rows)).encode())


def archive(draw: Any) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as members:
        # The same member twice is a warning, and what zip bombs are made of.
        for _ in several(draw, 3):
            content = io.BytesIO()
            np.save(content, array(draw), allow_pickle=True)
            members.writestr((pick(draw, NAMES) or "_") + pick(draw, [".npy", ""]), altered(draw, content.getvalue()))
    return altered(draw, raw.getvalue())


def plain_array(draw: Any) -> bytes:
    raw = io.BytesIO()
    np.save(raw, array(draw), allow_pickle=True)
    return altered(draw, raw.getvalue())


def image(draw: Any) -> bytes:
    raw = io.BytesIO()
    size = draw.ConsumeIntInRange(1, 9), draw.ConsumeIntInRange(1, 9)
    Image.new(pick(draw, ["L", "RGB"]), size, draw.ConsumeIntInRange(0, 255)).save(raw, pick(draw, FORMATS))
    return altered(draw, raw.getvalue())


class Folder:
    """A folder for one input at a time, with a file of each kind that the command line reads.

    Parameters
    ----------
    path : of the folder.

    Attributes
    ----------
    good : a table with which every command works.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.good = pd.DataFrame({"a": [1.0, 2, 3, 4] * 2, "b": [0.5, 1, 0, 1] * 2, "label": list("xyxy") * 2})
        self.parquet = [self.good.to_parquet(), self.good[["label"]].to_parquet(), pd.DataFrame().to_parquet()]

    def fill(self, draw: Any) -> str:
        """Write data, and give its name."""
        kind = pick(draw, ["csv", "tsv", "parquet", "npz", "npy", "folder", "txt"])
        if kind == "folder":
            return self._images(draw)
        makers = {"npz": archive, "npy": plain_array, "parquet": lambda d: altered(d, pick(d, self.parquet))}
        (self.path / f"data.{kind}").write_bytes(makers.get(kind, text_table)(draw))
        return f"data.{kind}"

    def _images(self, draw: Any) -> str:
        for number in several(draw, 5):
            place = self.path / "photos" / pick(draw, ["", "cat", "dog", "..", "<b>"])
            place.mkdir(parents=True, exist_ok=True)
            file = place / f"{number}.{pick(draw, FORMATS)}"
            if draw.ConsumeBool():
                file.write_bytes(image(draw))
            else:
                file.symlink_to(pick(draw, ["/etc/passwd", "nowhere.png", str(self.path), file.name, "0.png"]))
        return pick(draw, ["photos", "photos/cat", "."])


# -- command lines ----------------------------------------------------------------------------------------

OPTIONS = {
    "--target": [*NAMES, "z"],
    "--text": NAMES,
    "--set": ["max_epochs=0", "max_epochs=many", "loss__temperature=0.1", "batch_size=2", "modality=text", "=", "x"],
    "--seed": ["0", "-1", "x", str(2**70)],
    "--quiet": [],
    "--framework": ["byol", "moco", "x"],
    "--embedders": ["simclr", "byol", "x"],
    "--labels": ["1", "0", "-1", "x"],
    "--folds": ["2", "0", "x", str(2**70)],
    "--scoring": ["accuracy", "r2", "x", ""],
    "--cache": ["cache", "data.csv"],
    # More would only be more threads.
    "--jobs": ["1", "2", "0", "x"],
    "--model": ["model.skclr", "data.csv", "."],
    "--output": ["out.skclr", "out.npy", "out.csv", "out.parquet", "out.html", "none/out.npy", "data.csv", ".", ""],
    "--help": [],
}
USUAL = {
    "compare": [],
    "fit": ["--output", "out.skclr", "--set", "encoder__width=4", "framework__hidden_dim=4", "projection_dim=4"],
    "transform": ["--model", "model.skclr", "--output", "out.csv"],
    "report": ["--output", "out.html", "--set", "encoder__width=4", "framework__hidden_dim=4", "projection_dim=4"],
}


def command_line(draw: Any, data: str) -> list[str]:
    """Make the arguments of a command, mostly sensible ones."""
    command = pick(draw, [*USUAL, "x"])
    arguments = [command, *([data] if draw.ConsumeIntInRange(0, 7) else []), *USUAL.get(command, [])]
    return [*arguments, *itertools.chain(*([option, *_values(draw, option)] for option in _options(draw)))]


def _options(draw: Any) -> list[str]:
    return [pick(draw, list(OPTIONS)) for _ in several(draw, 4)]


def _values(draw: Any, option: str) -> list[str]:
    if not draw.ConsumeIntInRange(0, 7):
        # No absolute paths: it runs as whoever runs it.
        return [draw.ConsumeUnicode(6).replace("/", "").replace("\0", "")]
    return [pick(draw, OPTIONS[option])] if OPTIONS[option] else []
