"""The speed of `fit`, compared with a bare torch loop of the same mathematics.

The bare loop is what you would write by hand: tensors in memory, the same encoder, head, views and optimiser, NT-Xent
as a cross-entropy. It runs twice: generating views on the fly, and with all views prepared before the clock starts.
Fits and loops alternate in one process; ratios are of the medians.

`--against PATH` compares `fit` with that of another checkout instead, in alternating pairs of processes.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _against import compare
from _common import write
from torch import Tensor, nn
from torch.nn import functional as F

from skclr import ContrastiveEmbedder
from skclr.encoders import MLP, Conv
from skclr.modalities.image import StandardizeChannels
from skclr.views import ImageViews, MarginalCorruption

BATCH_SIZE = 256
TEMPERATURE = 0.5


def nt_xent(z: Tensor) -> Tensor:
    """Return NT-Xent of two stacked views, by its formula."""
    z = F.normalize(z)
    scores = (z @ z.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    n = len(z) // 2
    return F.cross_entropy(scores, torch.arange(2 * n).roll(n))


class Case:
    """A data set, with the same network and views for the bare loop."""

    def __init__(self, name: str, X: np.ndarray, epochs: int) -> None:
        self.name, self.X, self.epochs = name, X, epochs
        if X.ndim == 2:
            ready = torch.from_numpy(((X - X.mean(0)) / X.std(0)).astype(np.float32))
            self.views, preprocessing = MarginalCorruption().fit(ready), nn.Identity()
            encoder: nn.Module = MLP(X.shape[1:])
            self.parts = {"views": "corruption", "encoder": "mlp"}
        else:
            ready = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
            self.views = ImageViews().fit(ready)
            preprocessing = StandardizeChannels(ready.mean((0, 2, 3)), ready.std((0, 2, 3)))
            encoder = Conv(tuple(ready.shape[1:]))
            self.parts = {"views": "image", "encoder": "conv"}
        d = encoder.out_features
        head = [nn.Linear(d, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, 128)]
        self.network = nn.Sequential(preprocessing, encoder, *head)
        self.ready = ready

    def view_batches(self) -> list[Tensor]:
        """Return the views of one epoch."""
        generator = torch.Generator().manual_seed(0)
        rows = torch.randperm(len(self.ready)).split(BATCH_SIZE)[: len(self.ready) // BATCH_SIZE]
        return [torch.cat(self.views(self.ready[r], r, generator)) for r in rows]

    def fit(self) -> float:
        """Time `fit` and return samples per second."""
        embedder = ContrastiveEmbedder(
            **self.parts,
            max_epochs=self.epochs,
            batch_size=BATCH_SIZE,
            device="cpu",
            precision="float32",
            random_state=0,
        )
        start = time.perf_counter()
        embedder.fit(self.X)
        return self.rate(start)

    def bare(self, *, premade: bool) -> float:
        """Time the bare loop and return samples per second."""
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
        generator = torch.Generator().manual_seed(0)
        batches = self.view_batches() if premade else []
        start = time.perf_counter()
        for _ in range(self.epochs):
            for number, rows in enumerate(torch.randperm(len(self.ready)).split(BATCH_SIZE)):
                if len(rows) == BATCH_SIZE:
                    x = batches[number] if premade else torch.cat(self.views(self.ready[rows], rows, generator))
                    optimizer.zero_grad()
                    nt_xent(self.network(x)).backward()
                    optimizer.step()
        return self.rate(start)

    def rate(self, start: float) -> float:
        """Return samples per second since start."""
        return self.epochs * (len(self.X) // BATCH_SIZE) * BATCH_SIZE / (time.perf_counter() - start)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=9)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--against", type=Path, metavar="PATH", help="another checkout to compare with")
    options.add_argument("--pairs", type=int, default=15, help="with --against")
    options.add_argument(
        "--smoke", action="store_true", help="with --against: a few samples, and no results are written"
    )
    arguments = options.parse_args()
    if arguments.against:
        cases = ("loop-table", "loop-conv")
        compare(cases, arguments.against, arguments.pairs, arguments.threads, arguments.smoke)
        return
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    cases = [
        Case("tabular MLP, 20,000 × 50", rng.normal(size=(20_000, 50)), epochs=6),
        Case(
            "small CNN, 2,048 × 32 × 32 × 3",
            rng.integers(0, 256, (2_048, 32, 32, 3), dtype=np.uint8),
            epochs=3,
        ),
    ]
    results = {}
    for case in cases:
        runs: dict[str, Callable[[], float]] = {
            "fit": case.fit,
            "bare loop": lambda case=case: case.bare(premade=False),
            "bare loop, prepared views": lambda case=case: case.bare(premade=True),
        }
        for run in runs.values():
            run()  # warm up
        rates = {name: [] for name in runs}
        for _ in range(arguments.repeats):
            for name, run in runs.items():
                rates[name].append(run())
        medians = {name: statistics.median(values) for name, values in rates.items()}
        ratios = {name: medians["fit"] / medians[name] for name in runs if name != "fit"}
        results[case.name] = {"samples_per_second": rates, "median": medians, "ratio": ratios}
        print(case.name)
        for name, median in medians.items():
            ratio = f"  fit is {ratios[name]:.3f} of it" if name in ratios else ""
            print(f"  {name:26} {median:9,.0f} samples/s{ratio}")
    write("loop", {"batch_size": BATCH_SIZE, "repeats": arguments.repeats, "cases": results})


if __name__ == "__main__":
    main()
