"""Time and memory of pairwise losses, forward and backward, compared with other libraries.

Two views of N samples are 2N rows of width 128. Each measurement has its own process: the peak memory minus the memory
after the rows were created, and the median time. Measurements that need more than `--memory` or `--timeout` are stopped
and reported as such.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from typing import Any

import torch
from _common import write
from _measuring import memory
from torch import Tensor
from torch.nn import functional as F

from skclr.losses import LOSSES

Loss = Callable[[Tensor, Tensor], Tensor]

WIDTH = 128
MEBIBYTE = 2**20


class Plain:
    """Straightforward implementations of the losses, with the whole matrix at once."""

    def __init__(self, embeddings: Tensor, groups: Tensor, temperature: float) -> None:
        unit = F.normalize(embeddings)
        itself = torch.eye(len(unit), dtype=torch.bool)
        same = groups[:, None] == groups
        self.positives, self.negatives = same & ~itself, ~same
        self.similarities = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)

    def log_sum_exp(self, mask: Tensor) -> Tensor:
        return self.similarities.masked_fill(~mask, -torch.inf).logsumexp(1)

    def mean(self, x: Tensor, mask: Tensor) -> Tensor:
        return x.masked_fill(~mask, 0).sum(1) / mask.sum(1)

    def sup_con(self) -> Tensor:
        return -self.mean(self.similarities.log_softmax(1), self.positives).mean()

    def soft_nearest_neighbors(self) -> Tensor:
        return (self.similarities.logsumexp(1) - self.log_sum_exp(self.positives)).mean()

    def info_nce(self) -> Tensor:
        against = self.log_sum_exp(self.negatives)[:, None]
        return self.mean(F.softplus(against - self.similarities), self.positives).mean()

    def dcl(self) -> Tensor:
        return (self.log_sum_exp(self.negatives) - self.mean(self.similarities, self.positives)).mean()

    def logistic(self) -> Tensor:
        logits = self.similarities - 10
        return -F.logsigmoid(torch.where(self.positives, logits, -logits)).sum(1).mean()

    def contrastive(self) -> Tensor:
        distances = (1 - self.similarities).masked_fill(~(self.positives | self.negatives), 0)
        push = self.mean(F.relu(1 - distances).square(), self.negatives)
        return (self.mean(distances.square(), self.positives) + push).mean() / 2


def plain_nt_xent(embeddings: Tensor, groups: Tensor) -> Tensor:
    """Return NT-Xent of two views as a plain cross-entropy."""
    unit = F.normalize(embeddings)
    logits = (unit @ unit.T / 0.2).fill_diagonal_(-torch.inf)
    n = len(unit) // 2
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def plain(name: str) -> Loss:
    if name == "nt_xent":
        return plain_nt_xent
    temperature = getattr(LOSSES[name](), "temperature", 1.0)
    return lambda embeddings, groups: getattr(Plain(embeddings, groups, temperature), name)()


def lightly(name: str) -> Loss:
    from lightly import loss

    peer = {"nt_xent": loss.NTXentLoss(0.2), "dcl": loss.DCLLoss(0.1)}[name]
    return lambda embeddings, groups: peer(*F.normalize(embeddings).chunk(2))


def pytorch_metric_learning(name: str) -> Loss:
    from pytorch_metric_learning import distances, losses

    return {
        "info_nce": losses.NTXentLoss(0.2),
        "sup_con": losses.SupConLoss(0.1),
        "soft_nearest_neighbors": losses.NCALoss(softmax_scale=5),
        "triplet, all": losses.TripletMarginLoss(0.2, distance=distances.CosineSimilarity()),
    }[name]


def skclr(name: str) -> Loss:
    loss, _, mining = name.partition(", ")
    return LOSSES[loss](**({"mining": mining} if mining else {}))


LIBRARIES: dict[str, tuple[Callable[[str], Loss], list[str]]] = {
    "skclr": (skclr, [*LOSSES, "triplet, all", "triplet, hard"]),
    "plain": (plain, ["nt_xent", "sup_con", "soft_nearest_neighbors", "info_nce", "dcl", "logistic", "contrastive"]),
    "lightly": (lightly, ["nt_xent", "dcl"]),
    "pytorch-metric-learning": (
        pytorch_metric_learning,
        ["info_nce", "sup_con", "soft_nearest_neighbors", "triplet, all"],
    ),
}
PEERS = ("lightly", "pytorch-metric-learning")


def measure(result: Connection, library: str, name: str, n_rows: int, arguments: argparse.Namespace) -> None:
    """Send the seconds and MiB of one loss at one size, or why they could not be measured."""
    torch.set_num_threads(arguments.threads)
    loss = LIBRARIES[library][0](name)

    def step(embeddings: Tensor, groups: Tensor) -> float:
        embeddings.grad = None
        start = time.perf_counter()
        loss(embeddings, groups).backward()
        return time.perf_counter() - start

    def rows(n: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        embeddings = torch.randn(n, WIDTH, generator=generator).requires_grad_()
        return embeddings, torch.arange(n // 2).repeat(2)

    step(*rows(64))  # the first call loads code, which does not depend on the size
    batch = rows(n_rows)
    before = memory("VmRSS")
    limit = int((memory("VmData") + arguments.memory * 1024) * MEBIBYTE)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        seconds = [step(*batch)]
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        result.send({"skipped": f"over {arguments.memory} GiB"})
        return
    peak = memory("VmHWM") - before
    while len(seconds) < arguments.repeats and sum(seconds) < arguments.enough:
        seconds.append(step(*batch))
    result.send({"milliseconds": 1000 * statistics.median(seconds), "mebibytes": peak, "n_steps": len(seconds)})


def measure_apart(library: str, name: str, n_rows: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run `measure` in its own process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(sender, library, name, n_rows, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(arguments.timeout) else {"skipped": f"over {arguments.timeout} s"}
    except EOFError:
        return {"skipped": "ended without a result"}
    finally:
        process.kill()
        process.join()


def installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def cell(result: dict[str, Any]) -> str:
    return result.get("skipped") or f"{result['milliseconds']:,.0f} ms {result['mebibytes']:,.0f} MiB"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[2_048, 8_192, 32_768, 65_536])
    options.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    options.add_argument("--losses", nargs="+", help="names as in the table; default: all")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--enough", type=float, default=20.0, help="seconds after which steps are not repeated")
    options.add_argument("--timeout", type=float, default=900.0, help="seconds after which a measurement is stopped")
    options.add_argument("--memory", type=float, default=18.0, help="GiB that a step may take")
    arguments = options.parse_args()

    measurements: list[dict[str, Any]] = []
    settings = {key: getattr(arguments, key) for key in ("threads", "repeats", "enough", "timeout", "memory")}
    packages = tuple(peer for peer in PEERS if installed(peer))
    print(f"{'':48}" + "".join(f"{n:>24,}" for n in arguments.rows))
    for library in arguments.libraries:
        if library in PEERS and not installed(library):
            print(f"{library} is not installed")
            continue
        for name in LIBRARIES[library][1]:
            if arguments.losses and name not in arguments.losses:
                continue
            print(f"{library:24}{name:24}", end="", flush=True)
            for n_rows in arguments.rows:
                result = measure_apart(library, name, n_rows, arguments)
                measurements.append({"library": library, "loss": name, "rows": n_rows, **result})
                print(f"{cell(result):>24}", end="", flush=True)
            print()
            # After each row, so that an interrupted run keeps its results.
            write("losses", {"width": WIDTH, **settings, "measurements": measurements}, packages)


if __name__ == "__main__":
    main()
