"""Faults of files: crashes while a model is saved or samples are embedded, damage, loads during saves, full disks."""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from skclr import ContrastiveEmbedder, ModelFileError, load
from skclr.blockwise import transform_to
from tests.robustness.faults_training import counted, data, disk, embedder

N_CRASHES = 50
N_PIECES = 64
N_BITS = 1_000
N_LOADS = 200
# Kills of a call that embeds into a file; of every fifth, the next call brings another X.
N_EMBEDDING_KILLS = 500
BLOCK_ROWS = 1_000
ANOTHER_X_EVERY = 5
# Below the file's some 250 kB, so that each runs full in another place of it.
DISK_BYTES = [2**n for n in range(12, 18)]


def two_models() -> tuple[list[ContrastiveEmbedder], np.ndarray]:
    """Fit two models of one shape that embed differently."""
    X = data("table")
    return [embedder(name).fit(X) for name in ("simclr", "byol")], X


def is_one_of(path: Path, models: list[ContrastiveEmbedder], X: np.ndarray) -> bool:
    embedding = load(path).transform(X)
    return any(np.array_equal(embedding, model.transform(X)) for model in models)


def save_for_ever(models: list[ContrastiveEmbedder], path: Path) -> None:
    while True:
        for model in models:
            model.save(path)


def crashes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Kill processes that save one model over another; what is there must be one of the two, whole."""
    models, X = two_models()
    rng = np.random.default_rng(arguments.seed)
    survived = midway = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skclr"
        models[0].save(path)
        for _ in range(N_CRASHES):
            saver = multiprocessing.get_context("fork").Process(target=save_for_ever, args=(models, path))
            saver.start()
            time.sleep(rng.uniform(0.05, 0.3))
            saver.kill()
            saver.join()
            unfinished = [name for name in os.listdir(folder) if name.endswith(".tmp")]
            midway += bool(unfinished)
            for name in unfinished:
                os.unlink(Path(folder) / name)
            survived += is_one_of(path, models, X)
    return {
        "faults": {"SIGKILL during save": counted(N_CRASHES, survived)},
        "measured": {"killed while the new file was being written": midway},
    }


def is_refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        load(path)
    except ModelFileError:
        return True
    return False


def damage(arguments: argparse.Namespace) -> dict[str, Any]:
    """Cut a file short, and turn single bits of it; each time it has to be refused."""
    (model, _), _ = two_models()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skclr"
        model.save(path)
        raw = path.read_bytes()
        cut = sum(is_refused(path, raw[: len(raw) * piece // N_PIECES]) for piece in range(N_PIECES))
        turned = 0
        for place in rng.choice(8 * len(raw), N_BITS, replace=False):
            altered = bytearray(raw)
            altered[place // 8] ^= 1 << place % 8
            turned += is_refused(path, altered)
    return {
        "faults": {
            "model file cut short, at every 1/64": counted(N_PIECES, cut),
            "one bit of a model file flipped": counted(N_BITS, turned),
        },
        "measured": {"bytes of the model file": len(raw)},
    }


def loads_beside_saves(arguments: argparse.Namespace) -> dict[str, Any]:
    """Load a model again and again while another process saves over it."""
    models, X = two_models()
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skclr"
        models[0].save(path)
        saver = multiprocessing.get_context("fork").Process(target=save_for_ever, args=(models, path))
        saver.start()
        lock, results = threading.Lock(), []

        def load_often() -> None:
            for _ in range(N_LOADS // 4):
                result = is_one_of(path, models, X)
                with lock:
                    results.append(result)

        threads = [threading.Thread(target=load_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        saver.kill()
        saver.join()
        survived = sum(results)
    return {"faults": {"load, from four threads, while another process saves": counted(N_LOADS, survived)}}


def full_disk(arguments: argparse.Namespace) -> dict[str, Any]:
    """Save over a model on file systems that are too small for a second one, or for any."""
    models, X = two_models()
    with tempfile.TemporaryDirectory() as folder:
        models[0].save(Path(folder) / "model.skclr")
        size = (Path(folder) / "model.skclr").stat().st_size
    injected = survived = 0
    # A whole number of pages above the first file leaves room for a part of the second.
    for room in [*DISK_BYTES, *(size + 4096 * pages for pages in (2, 8, 32))]:
        with disk(room) as folder:
            path = folder / "model.skclr"
            for model in models:
                before = path.read_bytes() if path.exists() else None
                try:
                    model.save(path)
                except OSError:
                    injected += 1
                    there = sorted(os.listdir(folder))
                    whole = there == [] if before is None else path.read_bytes() == before
                    survived += whole and there in ([], ["model.skclr"])
            if path.exists():
                assert is_one_of(path, models, X)
    return {"faults": {"disk full during save": counted(injected, survived)}}


# -- embedding into a file --------------------------------------------------------------------------------


def many_rows(kind: str) -> Any:
    """Make rows that `transform_to` embeds in eight blocks, as an array or a DataFrame."""
    X = np.random.default_rng(0).normal(size=(8_000, 4)).astype(np.float32)
    return X if kind == "array" else pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 0, "x", "y"))


def in_blocks(embedder: ContrastiveEmbedder, path: Path, X: Any) -> np.ndarray:
    return transform_to(embedder.model_, path, X, most_rows=BLOCK_ROWS)


def right_or_refused(embedder: ContrastiveEmbedder, path: Path, X: Any) -> bool:
    """Embed another X where an earlier call left an unfinished file."""
    try:
        return np.array_equal(in_blocks(embedder, path, X), embedder.transform(X))
    except ValueError as error:
        return "belongs to another X" in str(error)


def embedding(arguments: argparse.Namespace) -> dict[str, Any]:
    """Kill processes that embed into a file, and call again with the same X or another."""
    # A child of a process whose torch has several threads would wait for them for ever.
    torch.set_num_threads(1)
    rng = np.random.default_rng(arguments.seed)
    cases = []
    for kind in ("array", "frame"):
        X = many_rows(kind)
        fitted = ContrastiveEmbedder(max_epochs=0, random_state=0, encoder_params={"width": 16}).fit(X[:1_000])
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            in_blocks(fitted, Path(folder) / "features.npy", X)
            cases.append((fitted, X, fitted.transform(X), time.perf_counter() - start))
    same, other = [], []
    left = {"nothing": 0, "a part without notes": 0, "a part and notes": 0, "the whole file": 0}
    while len(same) + len(other) < N_EMBEDDING_KILLS:
        trial = len(same) + len(other)
        fitted, X, expected, seconds = cases[trial % len(cases)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "features.npy"
            child = multiprocessing.get_context("fork").Process(target=in_blocks, args=(fitted, path, X))
            child.start()
            child.join(rng.uniform(0, 1.2 * seconds))
            child.kill()
            child.join()
            if child.exitcode == 0:
                continue
            left[what_is_left(path)] += 1
            if trial % ANOTHER_X_EVERY:
                same.append(np.array_equal(in_blocks(fitted, path, X), expected) and os.listdir(folder) == [path.name])
            else:
                changed = X.copy()
                changed[1:2] = X[2:3]
                other.append(right_or_refused(fitted, path, changed))
    return {
        "faults": {
            "SIGKILL in transform_to, called again": counted(len(same), sum(same)),
            "SIGKILL in transform_to, called with another X": counted(len(other), sum(other)),
        },
        "measured": {"what the kills left": left},
    }


def what_is_left(path: Path) -> str:
    if path.exists():
        return "the whole file"
    part, notes = (path.with_name(path.name + ending).exists() for ending in (".part", ".part.json"))
    return "a part and notes" if part and notes else "a part without notes" if part else "nothing"
