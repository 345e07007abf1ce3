"""Cost of several ranks, chunks and data on disk, and whether they change the result.

Weak and strong scaling on one and two processes of one thread each; operations of a step, and the bytes per rank that
are gathered and averaged, compared with the formulas in docs/scaling.rst; peak memory by batch size with and without
chunks; training from a memory map compared with training from memory; and the largest difference between several ranks
and one in float64, by case of tests/ranks/on_ranks.py. Each measurement has its own process: `python
benchmarks/scale.py --child NAME VALUES` prints its numbers.
"""

import argparse
import inspect
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from _common import saved, write
from torch.utils.flop_counter import FlopCounterMode

from skclr import ContrastiveEmbedder
from skclr.frameworks import FRAMEWORKS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


# -- measurements, each in its own process ------------------------------------------------------------


def images(n: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def fit(X: Any, framework: str = "simclr", **params: Any) -> ContrastiveEmbedder:
    return ContrastiveEmbedder(framework, **{"random_state": 0, "modality": "image", **params}).fit(X)


def speed(batch_size: int) -> dict[str, float]:
    """Return seconds per step (median epoch of 8 steps, without the first), and the time of the messages alone."""
    with counted() as counts:
        embedder = fit(images(8 * batch_size, 32), batch_size=batch_size, max_epochs=4)
    return {
        "seconds_a_step": statistics.median(epoch["dur"] for epoch in embedder.history_[1:]) / 8,
        "messages": counts["messages"] / 32,
        "seconds_a_message": message_seconds(128),
        "seconds_to_average": message_seconds(n_weights(embedder.net_.module_)),
    }


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Count the messages of this rank, and the bytes that it gathers and averages."""
    counts = {"messages": 0, "gathered": 0, "averaged": 0}

    def counting(function: Any, what: str, place: int) -> Any:
        def call(*tensors: Any, **kwargs: Any) -> Any:
            counts["messages"] += 1
            counts[what] += tensors[place].nbytes
            return function(*tensors, **kwargs)

        return call

    functions = dist.all_gather, dist.all_reduce
    dist.all_gather, dist.all_reduce = (
        counting(dist.all_gather, "gathered", 1),
        counting(dist.all_reduce, "averaged", 0),
    )
    try:
        yield counts
    finally:
        dist.all_gather, dist.all_reduce = functions


def message_seconds(n: int) -> float:
    """Time how long the ranks take to average n numbers, 0 for one rank."""
    if not dist.is_initialized():
        return 0.0
    message, times = torch.zeros(n), []
    for _ in range(9):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(message)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def n_weights(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


# Loss of two views: operations, and bytes per rank that are gathered and averaged.
# d: width of the projections, b and B: samples on a rank and in the batch, q: rows of the queue, K: prototypes.
LOSSES: dict[str, Callable[..., tuple[int, int, int]]] = {
    "simclr": lambda d, b, B, q, K: (24 * d * b * B, 8 * b * d, 8 * B * d),
    # Keys have no gradient; they are gathered for the loss and for the queue.
    "moco": lambda d, b, B, q, K: (8 * d * b * (B + q), 16 * b * d, 0),
    "nnclr": lambda d, b, B, q, K: (8 * d * b * B + 4 * d * b * q, 12 * b * d, 8 * B * d),
    "barlow_twins": lambda d, b, B, q, K: (6 * d * d * b, 0, 8 * d * d),
    "vicreg": lambda d, b, B, q, K: (12 * d * d * b, 0, 16 * d * d),
    "swav": lambda d, b, B, q, K: (0, 24 * K, 0),
    "dino": lambda d, b, B, q, K: (0, 0, 4 * K),
}


def model(framework: str, module: Any, forward: int, b: int, n_ranks: int) -> dict[str, int]:
    """Return the costs by docs/scaling.rst of a step of two views; the forward pass of the encoder costs `forward`."""
    sizes = {name: p.default for name, p in inspect.signature(FRAMEWORKS[framework]).parameters.items()}
    loss = LOSSES.get(framework, lambda *_: (0, 0, 0))(
        sizes["projection_dim"], b, n_ranks * b, sizes.get("queue_size"), sizes.get("n_prototypes")
    )
    weights = n_weights(module)
    passes = 3 + hasattr(module, "teacher")
    heads = 2 * (weights - n_weights(module.encoder))
    return {
        "operations": 2 * b * passes * (forward + heads) + loss[0],
        "gathered": loss[1],
        "averaged": 4 * weights + loss[2],
    }


def sent(framework: str) -> dict[str, dict[str, int]]:
    """Return the operations of one step of 128 samples per rank, and the bytes that a rank puts into collectives."""
    with counted() as counts, FlopCounterMode(display=False) as step:
        # The model counts 4 bytes per number.
        settings = {"batch_size": 256, "max_epochs": 1, "precision": "float32"}
        module = fit(images(256, 16), framework, **settings).net_.module_
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        module.encoder.eval()(torch.zeros(1, 3, 16, 16))
    return {
        "measured": {"operations": step.get_total_flops(), **counts},
        "model": model(framework, module, forward.get_total_flops(), 128, dist.get_world_size()),
    }


def memory(batch_size: int, chunk_size: int) -> dict[str, float]:
    """Return the increase of the peak resident memory by one step of a ResNet-18."""
    torch.set_num_threads(2)
    X = images(batch_size, 8)
    # Memory that the first step of a process needs in any case.
    common = {"encoder": "resnet18", "max_epochs": 1, "chunk_size": chunk_size or None}
    fit(X[:64], batch_size=64, **common)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    fit(X, batch_size=batch_size, **common)
    seconds = time.perf_counter() - started
    return {"MiB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, "seconds": seconds}


def storage(path: str, mapped: int) -> dict[str, float]:
    """Return samples per second (median of three epochs) and the peak of the resident memory.

    A small network on rows of 32 KiB computes little for each byte that is read.
    """
    X = np.load(path, mmap_mode="r" if mapped else None)
    params = {"modality": "tabular", "views": "masking", "encoder": "mlp", "encoder_params": {"width": 64}}
    started = time.perf_counter()
    embedder = fit(X, max_epochs=1 if X.nbytes > 2**32 else 3, batch_size=256, **params)
    return {
        "GiB": X.nbytes / 2**30,
        "samples_a_second": len(X) / statistics.median(epoch["dur"] for epoch in embedder.history_),
        "seconds": time.perf_counter() - started,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


CHILDREN = {"speed": speed, "sent": sent, "memory": memory, "storage": storage}


def child(name: str, *values: Any, n_ranks: int = 1) -> dict[str, Any]:
    """Run a measurement in new processes and return the numbers of rank 0."""
    from tests.ranks.on_ranks import free_port

    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(n_ranks)}
    command = [sys.executable, "-W", "ignore", __file__, "--child", name, *map(str, values)]
    ranks = [
        subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1", **address, "RANK": str(rank)}, stdout=subprocess.PIPE
        )
        for rank in range(n_ranks)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    result = {
        "values": [v.name if isinstance(v, Path) else v for v in values],
        "ranks": n_ranks,
        **json.loads(said[0].splitlines()[-1]),
    }
    print(name, result, flush=True)
    return result


# -- comparison ---------------------------------------------------------------------------------------


def measure_equality() -> dict[str, dict[str, float]]:
    """Return the largest difference of losses, gradients and weights between several ranks and one, in float64."""
    from tests.ranks import on_ranks as ranks

    differences: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "tests.ranks.on_ranks", folder], check=True, cwd=ROOT)
        for n_ranks in (2, 4):
            together = torch.load(Path(folder) / f"{n_ranks}-0.pt")["together"]
            for case, result in together.items():
                alone = ranks.train(case, len(result["losses"]) // 2)
                pairs = [(result["losses"], alone["losses"])]
                pairs += [(result[what][n], alone[what][n]) for what in ("gradients", "state") for n in alone[what]]
                largest = max((a - b).abs().max().item() for a, b in pairs if a.numel())
                differences.setdefault(case, {})[str(n_ranks)] = largest
    return differences


def measure_storage(gigabytes: float, mapped: list[int]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        n_pieces = int(gigabytes * 32)
        header = {"descr": "<f8", "fortran_order": False, "shape": (n_pieces * 1024, 4096)}
        # Not by a map, since a new process inherits the peak of its parent.
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(n_pieces):
                rng.standard_normal((1024, 4096)).tofile(file)
        return [child("storage", path, choice) for choice in mapped]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--child", nargs="+", help="one measurement and its values")
    options.add_argument("--batch-sizes", type=int, nargs="+", default=[512, 1024, 2048])
    options.add_argument("--largest", type=int, default=16_384, help="batch that is trained in chunks only")
    options.add_argument("--gigabytes", type=float, default=1, help="size of a file that also fits into memory")
    options.add_argument("--largest-gigabytes", type=float, default=0, help="size of a file that is only mapped")
    options.add_argument("--only", nargs="+", help="parts of the result; others stay as they are")
    arguments = options.parse_args()
    if arguments.child:
        name, *values = arguments.child
        print(json.dumps(CHILDREN[name](*(int(v) if v.isdigit() else v for v in values))))
        return
    chunked = [(size, chunk) for chunk in (0, 256) for size in arguments.batch_sizes]
    chunked += [(arguments.largest, 256)] if arguments.largest else []
    parts = {
        "equality": measure_equality,
        "weak scaling": lambda: [child("speed", size * n, n_ranks=n) for size in (128, 512) for n in (1, 2)],
        "strong scaling": lambda: [child("speed", 256, n_ranks=n) for n in (1, 2)],
        "sent": lambda: [child("sent", name, n_ranks=2) for name in FRAMEWORKS],
        "storage": lambda: (
            measure_storage(arguments.gigabytes, [0, 1])
            + (measure_storage(arguments.largest_gigabytes, [1]) if arguments.largest_gigabytes else [])
        ),
        "memory": lambda: [child("memory", *sizes) for sizes in chunked],
    }
    result = {part: saved("scale").get(part) for part in parts}
    result |= {part: parts[part]() for part in arguments.only or parts}
    write("scale", result)


if __name__ == "__main__":
    main()
