"""Faults of training: kills, full disks, crowds of workers, leftovers."""

import argparse
import contextlib
import gc
import hashlib
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skclr import ContrastiveEmbedder
from skclr.frameworks import FRAMEWORKS

# Minutes between checkpoints: one after every step, and one in some steps.
MINUTES = (0.0, 0.0005)
DISKS = [2**n for n in range(12, 22)]


def data(kind: str) -> np.ndarray:
    """Return a few digits, as a table or as images."""
    X = load_digits().data[:128]
    return X if kind == "table" else (X * 15).astype(np.uint8).reshape(-1, 8, 8)


def embedder(framework: str, **params: Any) -> ContrastiveEmbedder:
    """Make an embedder whose fit takes less than a second, with early stopping and a validation set."""
    run = {"max_epochs": 4, "batch_size": 16, "early_stopping": 2, "projection_dim": 16, "random_state": 0}
    return ContrastiveEmbedder(framework, encoder_params={"width": 16}, **run, **params)


def digest(fitted: ContrastiveEmbedder, X: np.ndarray) -> str:
    """Hash all that a fit leaves: weights, queues, the optimiser, the history but its clock, and embeddings."""
    net = fitted.net_
    states = {"module": net.module_.state_dict(), "optimizer": net.optimizer_.state_dict()}
    history = [{name: value for name, value in epoch.items() if name != "dur"} for epoch in net.history]
    # NumPy's floats are written as Python's.
    hashed = hashlib.sha256(json.dumps(history).encode())
    hashed.update(fitted.transform(X).tobytes())
    for path, tensor in leaves(states):
        hashed.update(path.encode())
        hashed.update(tensor.detach().numpy().tobytes() if torch.is_tensor(tensor) else repr(tensor).encode())
    return hashed.hexdigest()


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk nested dictionaries and lists."""
    if isinstance(tree, dict | list):
        for name, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(branch, f"{path}/{name}")
    else:
        yield path, tree


def counted(injected: int, survived: int) -> dict[str, int]:
    return {"injected": injected, "survived": survived, "lost": injected - survived}


# -- kills ------------------------------------------------------------------------------------------------


def train(started: Any, result: Path, framework: str, kind: str, minutes: float, folder: Path | None) -> None:
    """Fit in a process of its own, and write the digest of what came out."""
    torch.set_num_threads(1)
    X = data(kind)
    started.set()
    fitted = embedder(framework, checkpoint_dir=folder, checkpoint_minutes=minutes).fit(X)
    result.write_text(digest(fitted, X))


class Runs:
    """Processes that fit, and may be killed.

    Parameters
    ----------
    scratch : folder for results.
    target : what a process calls, as `train`.
    """

    def __init__(self, scratch: Path, target: Callable[..., None] = train) -> None:
        self.target = target
        self.context = multiprocessing.get_context("forkserver")
        # Torch is imported once, with what its optimisers import late, and not by every one of the processes.
        self.context.set_forkserver_preload([__name__, "torch._dynamo"])
        self.result = scratch / "digest"

    def start(self, *fit: Any) -> Any:
        """Start a process, and wait until its fit begins."""
        started = self.context.Event()
        process = self.context.Process(target=self.target, args=(started, self.result, *fit))
        process.start()
        started.wait()
        return process

    def finish(self, *fit: Any) -> tuple[str | None, float]:
        """Return the digest of an uninterrupted fit, and its seconds."""
        self.result.unlink(missing_ok=True)
        process = self.start(*fit)
        start = time.perf_counter()
        process.join()
        return (self.result.read_text() if self.result.exists() else None), time.perf_counter() - start

    def kill(self, seconds: float, *fit: Any) -> bool:
        """Kill a fit after so many seconds; tells whether it had not ended before."""
        process = self.start(*fit)
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode == -signal.SIGKILL


def kills(arguments: argparse.Namespace) -> dict[str, Any]:
    """Kill fits at random moments, call them again, and compare with fits that were left alone."""
    rng = np.random.default_rng(arguments.seed)
    cases = [*((framework, "table") for framework in FRAMEWORKS), ("moco", "images")]
    until = time.monotonic() + 60 * arguments.minutes
    killed, whole = dict.fromkeys(FRAMEWORKS, 0), dict.fromkeys(FRAMEWORKS, 0)
    n_after_a_checkpoint = 0
    with tempfile.TemporaryDirectory() as scratch:
        runs = Runs(Path(scratch))
        alone = {case: runs.finish(*case, 0.0, None) for case in cases}
        if any(expected is None for expected, _ in alone.values()):
            raise RuntimeError("a fit failed that was left alone")
        for trial in itertools.count():
            if sum(killed.values()) >= arguments.kills or time.monotonic() > until:
                break
            case, folder = cases[trial % len(cases)], Path(scratch) / str(trial)
            fit = (*case, MINUTES[trial // len(cases) % len(MINUTES)], folder)
            expected, seconds = alone[case]
            # Checkpoints make a fit slower.
            if runs.kill(rng.uniform(0, 1.5 * seconds), *fit):
                killed[case[0]] += 1
                n_after_a_checkpoint += any(folder.glob("*.checkpoint"))
                whole[case[0]] += runs.finish(*fit)[0] == expected
            shutil.rmtree(folder, ignore_errors=True)
    return {
        "faults": {f"SIGKILL in a fit of {name}, called again": counted(killed[name], whole[name]) for name in killed},
        "measured": {"kills that came after a checkpoint": n_after_a_checkpoint},
    }


# -- full disks -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk(n_bytes: int) -> Iterator[Path]:
    """Mount a file system of so many bytes; needs root."""
    folder = tempfile.mkdtemp()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", folder], check=True)
    try:
        yield Path(folder)
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def full_disk(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train with checkpoints on file systems too small for them, then give them room and call again."""
    X = data("table")
    expected = digest(embedder("simclr").fit(X), X)
    n_full = n_trained = n_again = 0
    for size in DISKS:
        with disk(size) as folder:
            saving = {"checkpoint_dir": folder / "run", "checkpoint_minutes": 0}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fitted = embedder("simclr", **saving).fit(X)
            if not any("No space left" in str(warning.message) for warning in caught):
                continue
            n_full += 1
            n_trained += digest(fitted, X) == expected
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
            n_again += digest(embedder("simclr", **saving).fit(X), X) == expected
    return {
        "faults": {
            "disk full at a checkpoint, training goes on": counted(n_full, n_trained),
            "disk full at a checkpoint, called again after space was freed": counted(n_full, n_again),
        }
    }


# -- workers ----------------------------------------------------------------------------------------------


def fit_alone(framework: str) -> str:
    torch.set_num_threads(1)
    X = data("table")
    return digest(embedder(framework).fit(X), X)


def workers(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit side by side under joblib's and dask's workers, and compare with fits alone."""
    torch.set_num_threads(1)
    expected = [fit_alone(framework) for framework in FRAMEWORKS]
    faults = {}

    def side_by_side(name: str) -> None:
        digests = Parallel(n_jobs=2)(delayed(fit_alone)(framework) for framework in FRAMEWORKS)
        faults[f"several fits at once, {name}"] = counted(
            len(expected), sum(one == other for one, other in zip(digests, expected, strict=True))
        )

    for backend in ("loky", "threading"):
        with parallel_config(backend=backend):
            side_by_side(backend)
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        print("distributed is not installed: dask's workers are left out")
    else:
        with (
            LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
            parallel_config(backend="dask"),
        ):
            side_by_side("dask")
    return {"faults": faults}


# -- leftovers --------------------------------------------------------------------------------------------


def leaks(arguments: argparse.Namespace) -> dict[str, Any]:
    """Count memory, threads, processes and open files before and after many fits."""
    X, n_warm = data("table"), 20
    names = list(FRAMEWORKS)

    def fit(number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            saving = {"checkpoint_dir": folder, "checkpoint_minutes": 0.01} if number % 2 else {}
            embedder(names[number % len(names)], on_interrupt="keep", **saving).fit(X).transform(X)

    def left() -> dict[str, float]:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "MiB of memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            "threads": len(os.listdir("/proc/self/task")),
            "open files": len(os.listdir("/proc/self/fd")),
            "child processes": len(multiprocessing.active_children()),
        }

    for number in range(n_warm):
        fit(number)
    before = left()
    for number in range(arguments.fits):
        fit(number)
    grown = {name: round(value - before[name], 1) for name, value in left().items()}
    allowed = {"MiB of memory": 20, "threads": 0, "open files": 0, "child processes": 0}
    return {
        "faults": {
            f"{arguments.fits} fits leave {name} behind": counted(1, int(grown[name] <= allowed[name]))
            for name in grown
        },
        "measured": {f"grown over {arguments.fits} fits": grown},
    }


# -- searches ---------------------------------------------------------------------------------------------


def search(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time a grid search on one job and on two, by turns."""
    X, y = load_digits(return_X_y=True)
    pipe = make_pipeline(ContrastiveEmbedder(max_epochs=20, random_state=0), LogisticRegression(max_iter=200))
    grid = {"contrastiveembedder__loss__temperature": [0.1, 0.2, 0.3, 0.5]}
    n_cores = os.cpu_count() or 1

    def seconds(n_jobs: int, backend: str, n_threads: int) -> float:
        torch.set_num_threads(n_threads)
        start = time.perf_counter()
        with parallel_config(backend):
            GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs, refit=False).fit(X, y)
        return time.perf_counter() - start

    # The workers start.
    Parallel(2)(delayed(fit_alone)("simclr") for _ in range(2))
    ways = {
        f"1 job on {n_cores} threads": (1, "loky", n_cores),
        "1 job on 1 thread": (1, "loky", 1),
        "2 jobs, loky": (2, "loky", n_cores),
        f"2 jobs, threading, {n_cores} threads each": (2, "threading", n_cores),
        "2 jobs, threading, 1 thread each": (2, "threading", 1),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            times[name].append(round(seconds(*way), 2))
    one = statistics.median(times[f"1 job on {n_cores} threads"])
    speed = {name: round(one / statistics.median(taken), 2) for name, taken in times.items()}
    n_threads = Parallel(2)(delayed(torch.get_num_threads)() for _ in range(2))
    return {
        "faults": {"2 jobs compete for the cores": counted(1, int(max(n_threads) * 2 <= n_cores))},
        "measured": {"seconds": times, "speed, as a multiple of 1 job's": speed, "threads a job": n_threads},
    }
