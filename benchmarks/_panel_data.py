"""The panel's sets, their halves, and the draws of labels."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

KINDS = ("series", "tables", "text", "images", "audio")
BUDGETS: tuple[int | str, ...] = (1, 5, 20, "all")
N_DRAWS, MAX_ROWS = 10, 4_000
# A kind with fewer sets is not divided: all of its sets are in both halves.
FEWEST_TO_HALVE = 6
# The same data under another name in ucr/ or keel/, or as a subset of another file; sentence pairs have no classes.
LEFT_OUT = ("satellite", "cifar10_jpeg", "stsb_en")
QUICK = (
    *("ucr/Chinatown", "ucr/ECG200", "ucr/ItalyPowerDemand", "ucr/MoteStrain", "ucr/SmoothSubspace", "ucr/Trace"),
    *("keel/contraceptive", "keel/heart", "keel/iris", "keel/vehicle", "keel/wine", "sms_spam"),
)


class Set(NamedTuple):
    """Training and test samples with their classes, and the embedder's parameters for their kind."""

    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray
    params: dict[str, Any] = {}


class Entry(NamedTuple):
    """A set of the panel that has not been read yet."""

    name: str
    kind: str
    halves: tuple[str, ...]
    read: Callable[[], Set]


# -- reading ------------------------------------------------------------------------------------------


def read_table(path: Path) -> Set:
    data = np.load(path)
    X = pd.DataFrame(data["X_num"], columns=[str(name) for name in data["num_names"]])
    for j, name in enumerate(data.get("cat_names", ())):
        column = data["X_cat"][:, j].astype(object)
        X[str(name)] = np.where(np.isin(column, ["", "?"]), None, column)
    test, y = data["is_test"].astype(bool), data["y"]
    return Set(X[~test].reset_index(drop=True), y[~test], X[test].reset_index(drop=True), y[test])


def read_arrays(path: Path) -> Set:
    """Read series or images."""
    data = np.load(path)
    return Set(*(data[key] for key in ("X_train", "y_train", "X_test", "y_test")))


def read_texts(path: Path) -> Set:
    data = np.load(path)
    if "is_test" in data:
        test, texts, y = data["is_test"], data["text"], data["y"]
        return Set(list(map(str, texts[~test])), y[~test], list(map(str, texts[test])), y[test])
    parts = (list(map(str, data[f"text_{part}"])) for part in ("train", "test"))
    return Set(next(parts), data["y_train"], next(parts), data["y_test"])


def read_audio(path: Path) -> Set:
    data = np.load(path)
    clips, test, y = np.split(data["wave"], data["offsets"][1:-1]), data["is_test"], data["digit"]
    params = {"modality_params": {"sampling_rate": int(data["rate"])}}
    train, unseen = ([clips[i] for i in np.flatnonzero(part)] for part in (~test, test))
    return Set(train, y[~test], unseen, y[test], params)


def kind_of(path: Path) -> tuple[str, Callable[[Path], Set]]:
    """Return the kind of a file and its reader, by the arrays in it."""
    names = set(np.load(path).files)
    if "X_num" in names:
        return "tables", read_table
    if "wave" in names:
        return "audio", read_audio
    if {"text", "text_train"} & names:
        return "text", read_texts
    return ("series" if path.stem.startswith("ts_") or path.parent.name == "ucr" else "images"), read_arrays


def rows_of(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of a table, an array or a list."""
    if isinstance(X, list):
        return [X[i] for i in rows]
    return X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]


def capped(given: Set, max_rows: int = MAX_ROWS) -> Set:
    """Keep at most `max_rows` training rows, always the same, and number their classes; other test classes are -1."""
    rows = np.sort(np.random.default_rng(0).permutation(len(given.y))[:max_rows])
    classes, y = np.unique(np.asarray(given.y)[rows], return_inverse=True)
    places = np.searchsorted(classes, given.y_test).clip(max=len(classes) - 1)
    y_test = np.where(classes[places] == given.y_test, places, -1)
    return given._replace(X=rows_of(given.X, rows), y=y, y_test=y_test)


def fingerprint(given: Set) -> str:
    """Return a hash of all samples and classes; results are kept until it changes."""
    digest = hashlib.sha256()
    for part in given[:4]:
        if isinstance(part, pd.DataFrame):
            digest.update(pd.util.hash_pandas_object(part, index=False).to_numpy().tobytes())
        else:
            for piece in part if isinstance(part, list) else [part]:
                digest.update(piece.encode() if isinstance(piece, str) else np.ascontiguousarray(piece).tobytes())
    return digest.hexdigest()[:16]


# -- the panel ----------------------------------------------------------------------------------------


def catalogue(folder: Path) -> list[Entry]:
    """Return all sets of the data folder; if a set is found twice, the one in ucr/ or keel/ is used."""
    found = []
    for path in sorted([*folder.glob("ucr/*.npz"), *folder.glob("keel/*.npz")]) + sorted(folder.glob("*.npz")):
        name = path.stem if path.parent == folder else f"{path.parent.name}/{path.stem}"
        if path.stem not in LEFT_OUT and f"ucr/{path.stem.removeprefix('ts_')}" not in {n for n, *_ in found}:
            found.append((name, path, *kind_of(path)))
    sizes = {kind: sum(k == kind for _, _, k, _ in found) for kind in KINDS}
    # Within its folder every second name is in the dev half.
    dev = {name for folder in ("ucr/", "keel/") for name in [n for n, *_ in found if n.startswith(folder)][::2]}
    return [
        Entry(
            name,
            kind,
            ("dev", "other") if sizes[kind] < FEWEST_TO_HALVE else ("dev",) if name in dev else ("other",),
            lambda path=path, read=read: capped(read(path)),
        )
        for name, path, kind, read in found
    ]


def smoke_catalogue() -> list[Entry]:
    """Return a tiny set of each kind: bundled with scikit-learn, or synthetic."""
    readers = {"sines": ("series", sines), "wine": ("tables", wine), "words": ("text", words)}
    return [
        Entry(name, kind, ("dev", "other"), lambda read=read: capped(read())) for name, (kind, read) in readers.items()
    ]


def halved(X: Any, y: np.ndarray) -> Set:
    """Split at random into halves for training and test."""
    train, test = np.array_split(np.random.default_rng(0).permutation(len(y)), 2)
    return Set(rows_of(X, train), y[train], rows_of(X, test), y[test])


def wine() -> Set:
    X, y = load_wine(return_X_y=True, as_frame=True)
    return halved(X, y.to_numpy())


def sines() -> Set:
    """Return noisy sines of three frequencies, some of them shorter or with missing values."""
    rng, y = np.random.default_rng(0), np.arange(120) % 3
    phases, steps = rng.uniform(0, 6.28, (120, 1, 1)), np.arange(40)
    X = np.sin(steps * (0.2 + 0.2 * y[:, None, None]) + phases) + rng.normal(0, 0.3, (120, 1, 40))
    X[::7, :, 30:] = np.nan
    X[::11, :, 5] = np.nan
    return halved(X.astype(np.float32), y)


def words() -> Set:
    """Return texts of two topics."""
    rng, y = np.random.default_rng(0), np.arange(80) % 2
    topics = ("goal match team ball win the a", "stock bank price market fund the a")
    return halved([" ".join(rng.choice(topics[label].split(), 6)) for label in y], y)


# -- draws --------------------------------------------------------------------------------------------


def draws(y: np.ndarray, budget: int | str, n_draws: int = N_DRAWS) -> list[np.ndarray]:
    """Return the labelled rows of each draw.

    Draw i takes min(budget, rows of the class) of each class, and those with fewer labels are among those with more.
    "all" is a single draw of all rows. A budget that no class reaches has no draws.
    """
    if budget == "all":
        return [np.arange(len(y))]
    of_class = [np.flatnonzero(y == c) for c in np.unique(y)]
    if max(map(len, of_class)) < int(budget):
        return []
    generators = map(np.random.default_rng, range(n_draws))
    return [np.concatenate([rng.permutation(rows)[: int(budget)] for rows in of_class]) for rng in generators]
