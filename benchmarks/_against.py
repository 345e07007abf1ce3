"""Compare this checkout with another one, in alternating pairs of processes that do the same work.

Run as a script, this module is one of these processes and imports skclr from PYTHONPATH. It uses public names only,
since modules differ between checkouts.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from _common import save, saved, surroundings

ROOT = Path(__file__).parents[1]
# Pairs of runs per pair of processes. Several processes average over memory layouts.
PAIRS_PER_PROCESS = 3
MEASURES = ("seconds", "processor_seconds")
Case = Callable[[bool], Callable[[], Any]]


def fit(X: np.ndarray, **params: Any) -> Callable[[], Any]:
    from skclr import ContrastiveEmbedder

    return lambda: ContrastiveEmbedder(device="cpu", random_state=0, **params).fit(X)


def transform(X: np.ndarray) -> Callable[[], Any]:
    from skclr import ContrastiveEmbedder

    embedder = ContrastiveEmbedder(max_epochs=0, device="cpu", passthrough=False, random_state=0).fit(X[:1_000])
    return lambda: embedder.transform(X)


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def table(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 50))


def simclr(encoder: str, n: int, epochs: int, tiny: bool) -> Callable[[], Any]:
    n, batch_size = (64, 32) if tiny else (n, 256)
    return fit(pictures(n), encoder=encoder, max_epochs=epochs, batch_size=batch_size)


def table_loop(tiny: bool) -> Callable[[], Any]:
    params = {"views": "corruption", "encoder": "mlp", "precision": "float32", "batch_size": 32 if tiny else 256}
    return fit(table(64 if tiny else 20_000), max_epochs=1 if tiny else 6, **params)


CASES: dict[str, Case] = {
    "loop-table": table_loop,
    "loop-conv": lambda tiny: fit(
        pictures(64 if tiny else 2_048),
        encoder="conv",
        precision="float32",
        max_epochs=2,
        batch_size=32 if tiny else 256,
    ),
    "simclr-conv": lambda tiny: simclr("conv", 2_048, 2, tiny),
    "simclr-resnet18": lambda tiny: simclr("resnet18", 256, 1, tiny),
    "transform-rows": lambda tiny: transform(table(64 if tiny else 200_000)),
    "transform-images": lambda tiny: transform(pictures(64 if tiny else 10_000)),
}


class Checkout:
    """A process that imports skclr from a checkout and runs one case on each request."""

    def __init__(self, path: Path, case: str, threads: int, tiny: bool) -> None:
        environment = {**os.environ, "PYTHONPATH": str(path.resolve())}
        command = [sys.executable, __file__, case, str(threads), str(int(tiny))]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def __enter__(self) -> Self:
        # Import and warm up before the other one is timed.
        self.answer()
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.communicate()

    def answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a process has ended; see its error above")
        return json.loads(line)

    def run(self) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()


def measure(case: str, other: Path, n_pairs: int, threads: int, tiny: bool) -> dict[str, Any]:
    """Return the times of both checkouts, and quartiles of the relative speed of this one, pair by pair."""
    runs: dict[str, list[dict[str, float]]] = {"this": [], "other": []}
    while len(runs["this"]) < n_pairs:
        with Checkout(ROOT, case, threads, tiny) as this, Checkout(other, case, threads, tiny) as that:
            for _ in range(min(PAIRS_PER_PROCESS, n_pairs - len(runs["this"]))):
                pair = [("this", this), ("other", that)]
                # The second of a pair finds a warmer machine.
                for name, checkout in pair if len(runs["this"]) % 2 else pair[::-1]:
                    runs[name].append(checkout.run())
    found: dict[str, Any] = {"pairs": n_pairs}
    for unit in MEASURES:
        times = {name: [run[unit] for run in rows] for name, rows in runs.items()}
        ratios = [b / max(a, 1e-9) for a, b in zip(times["this"], times["other"], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if n_pairs > 1 else ratios * 3
        found[unit] = times | {"median_ratio": median, "quartiles": [low, high]}
    return found


def compare(cases: Iterable[str], other: Path, n_pairs: int, threads: int, smoke: bool) -> None:
    """Measure cases against another checkout, print them and keep them in results/against.json."""
    for case in cases:
        found = measure(case, other, 1 if smoke else n_pairs, threads, smoke)
        for unit in MEASURES:
            low, high = found[unit]["quartiles"]
            print(
                f"{case:18} {unit:18} this checkout is {found[unit]['median_ratio']:.3f} times as fast "
                f"(quartiles {low:.3f} to {high:.3f}, {found['pairs']} pairs)",
                flush=True,
            )
        if not smoke:
            row = {"commits": {"this": commit(ROOT), "other": commit(other)}, "threads": threads, **found}
            rows = saved("against").get("rows", {}) | {case: row | surroundings()}
            save("against", {"rows": {name: rows[name] for name in CASES if name in rows}})


def commit(path: Path) -> str:
    return subprocess.run(
        ["git", "-C", str(path), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()


def serve(case: str, threads: int, tiny: bool) -> None:
    """Warm up, then answer each line of the standard input with the times of one run."""
    torch.set_num_threads(threads)
    work = CASES[case](tiny)
    work()
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        work()
        times = (time.perf_counter() - start, time.process_time() - cpu)
        print(json.dumps(dict(zip(MEASURES, times, strict=True))), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
