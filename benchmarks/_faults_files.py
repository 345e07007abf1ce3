"""Faults of files: crashes while a model is saved, damage, loads beside saves, full disks."""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from _faults_training import counted, data, disk, embedder

from skclr import ContrastiveEmbedder, ModelFileError, load

N_CRASHES = 50
N_PIECES = 64
N_BITS = 1_000
N_LOADS = 200
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
            "one bit of a model file turned": counted(N_BITS, turned),
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
