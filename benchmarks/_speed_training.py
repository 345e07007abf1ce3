"""Cost of `fit`, compared with lightly, cebra and loops written by hand."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _measuring import Claim, Measures, Run, Work, apart, rate, times
from torch import Tensor, nn

from skclr import ContrastiveEmbedder
from skclr.encoders import ENCODERS
from skclr.parts.heads import mlp_head

PRECISIONS = ("float32", "bfloat16")
FRAMEWORKS = ("simclr", "moco", "byol", "swav", "barlow_twins")


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def table(n: int, d: int = 50) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d))


def fit(X: Any, unit: str, **params: Any) -> Measures:
    """Time `fit`, from the array to the fitted embedder."""
    embedder = ContrastiveEmbedder(device="cpu", random_state=0, **params)
    start = time.perf_counter()
    embedder.fit(X)
    steps = embedder.max_epochs * (len(X) // embedder.batch_size)
    return rate(unit, steps * embedder.batch_size, start)


# -- lightly ------------------------------------------------------------------------------------------


def auto_precision() -> str:
    """Return the precision that `precision="auto"` chooses on this machine."""
    dtype = ContrastiveEmbedder(max_epochs=0, device="cpu").fit(pictures(2)).net_.autocast
    return "float32" if dtype is None else str(dtype).removeprefix("torch.")


def ours(X: np.ndarray, epochs: int, batch_size: int, encoder: str, precision: str) -> Measures:
    return fit(X, "images/s", encoder=encoder, precision=precision, max_epochs=epochs, batch_size=batch_size)


def lightly(
    X: np.ndarray, epochs: int, batch_size: int, encoder: str, workers: int, tuned: torch.dtype | None
) -> Measures:
    from _lightly import simclr as train

    network = ENCODERS[encoder]((3, 32, 32))
    start = time.perf_counter()
    train(network, network.out_features, X, epochs=epochs, batch_size=batch_size, workers=workers, tuned=tuned)
    return rate("images/s", epochs * len(X), start)


def warmed(way: Callable[..., Measures], n: int, epochs: int, batch_size: int, *arguments: Any) -> Measures:
    way(pictures(32), 1, 16, *arguments)
    return way(pictures(n), epochs, batch_size, *arguments)


def simclr(encoder: str, tiny: bool) -> Work:
    """SimCLR of a small CNN or a ResNet-18."""
    small = encoder == "conv"
    size = (64, 1, 32) if tiny else (2_048, 2 if small else 1, 256)

    def run(way: Callable[..., Measures], *arguments: Any) -> Run:
        # Its own process, so that no way inherits the heap of the one before.
        return lambda: apart(warmed, way, *size, encoder, *arguments)

    # For a ResNet-18 the cost of views is negligible, with workers or without.
    workers = (0, 2) if small else (0,)
    documented = {f"lightly, {w} workers": run(lightly, w, None) for w in workers}
    tuned = {
        f"lightly tuned by hand, {w} workers, {precision}": run(lightly, w, getattr(torch, precision))
        for w in workers
        for precision in PRECISIONS
    }
    auto = f"skclr, {auto_precision()}"
    at_float32, at_auto = (1.7, 2.8) if small else (1.25, 2.3)
    return Work(
        f"SimCLR `fit`, {'small CNN' if small else 'ResNet-18'}",
        {f"skclr, {precision}": run(ours, precision) for precision in PRECISIONS} | documented | tuned,
        [
            times("images/s", "skclr, float32", list(documented), at_float32, "skclr, float32 relative to lightly"),
            times("images/s", auto, list(documented), at_auto, f"{auto} (auto) relative to lightly"),
            times("images/s", auto, list(tuned), 1.1, f"{auto} (auto) relative to lightly tuned by hand"),
        ],
        repeats=4 if small else 2,
        settings=dict(zip(("images", "epochs", "batch_size"), size, strict=True)),
    )


# -- bare loop ----------------------------------------------------------------------------------------


def bare_loop(X: np.ndarray, ready: Tensor, unit: str, *, premade: bool = False, **params: Any) -> Measures:
    """Time the framework's own mathematics in a minimal loop on samples in memory."""
    epochs, size = params["max_epochs"], params["batch_size"]
    net = ContrastiveEmbedder(device="cpu", random_state=0, **params | {"max_epochs": 0}).fit(X).net_
    module, optimizer, maker = net.module_.train(), net.optimizer_, net.view_maker.fit(ready)
    generator = torch.Generator().manual_seed(0)
    done, n_steps = 0, epochs * (len(X) // size)

    def orders() -> list[Tensor]:
        return [rows for rows in torch.randperm(len(X)).split(size) if len(rows) == size]

    made = [maker(ready[rows], rows, generator) for rows in orders()] if premade else []
    start = time.perf_counter()
    for _ in range(epochs):
        for number, rows in enumerate(orders()):
            views = made[number] if premade else maker(ready[rows], rows, generator)
            optimizer.zero_grad()
            with torch.autocast("cpu", net.autocast, enabled=net.autocast is not None):
                loss = module(views, rows)
            loss.backward()
            optimizer.step()
            done += 1
            module.after_step(done / n_steps)
    return rate(unit, n_steps * size, start)


def framework(name: str, tiny: bool) -> Work:
    """One framework's `fit` of a small CNN."""
    n, batch_size, epochs = (64, 32, 1) if tiny else (2_048, 256, 2)
    X = pictures(n)
    ready = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    params = {"framework": name, "encoder": "conv", "max_epochs": epochs, "batch_size": batch_size}
    return Work(
        f"{name}, `fit`, small CNN",
        {
            "fit": lambda: fit(X, "images/s", **params),
            "bare loop": lambda: bare_loop(X, ready, "images/s", **params),
            "bare loop, prepared views": lambda: bare_loop(X, ready, "images/s", premade=True, **params),
        },
        [
            times("images/s", "fit", ["bare loop"], 0.95),
            times("images/s", "fit", ["bare loop, prepared views"]),
        ],
        settings={"images": n, "batch_size": batch_size, "epochs": epochs, "precision": "auto"},
    )


# -- tables -------------------------------------------------------------------------------------------


def cebra(X: np.ndarray, n_steps: int, batch_size: int) -> Measures:
    """Time cebra's `fit` of the encoder and head that SimCLR trains on tables, by cebra's interface."""
    import cebra as peer

    class Network(peer.models.Model):
        def __init__(self, num_neurons: int, num_units: int, num_output: int, normalize: bool = True) -> None:
            super().__init__(num_input=num_neurons, num_output=num_output)
            encoder = ENCODERS["mlp"]((num_neurons,))
            width = encoder.out_features
            self.network = nn.Sequential(encoder, mlp_head(width, width, num_output))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.normalize(self.network(x), dim=1)

        def get_offset(self) -> Any:
            return peer.data.Offset(0, 1)

    peer.models.register("same-network", override=True)(Network)
    model = peer.CEBRA(
        "same-network", device="cpu", batch_size=batch_size, max_iterations=n_steps, output_dimension=128
    )
    start = time.perf_counter()
    model.fit(X)
    return rate("steps/s", n_steps, start)


def tables(tiny: bool) -> Work:
    """SimCLR of an MLP on rows of a table."""
    n, batch_size, epochs = (256, 64, 2) if tiny else (20_000, 512, 26)
    X = table(n)
    ready = torch.from_numpy(((X - X.mean(0)) / X.std(0)).astype(np.float32))
    params = {
        "encoder": "mlp",
        "views": "corruption",
        "max_epochs": epochs,
        "batch_size": batch_size,
        "precision": "float32",
    }
    n_steps = 8 if tiny else 1_000

    def in_steps(found: Measures) -> Measures:
        return {"steps/s": found["rows/s"] / batch_size}

    return Work(
        "tables, 1,000 steps",
        {
            "fit": lambda: in_steps(fit(X, "rows/s", **params)),
            "cebra": lambda: cebra(X.astype(np.float32), n_steps, batch_size),
            "bare loop": lambda: in_steps(bare_loop(X, ready, "rows/s", **params)),
        },
        [times("steps/s", "fit", ["cebra"], 1.15), times("steps/s", "fit", ["bare loop"], 0.9)],
        repeats=4,
        settings={"rows": n, "columns": 50, "batch_size": batch_size, "steps": n_steps, "precision": "float32"},
    )


# -- half precision -----------------------------------------------------------------------------------


def half_precision(tiny: bool) -> Work:
    """Each kind of data with its default encoder, in float32 and in bfloat16."""
    rng, n = np.random.default_rng(0), 32 if tiny else 1_024
    words = np.array(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "images": (pictures(n), {}),
        "tables": (table(4 * n), {"views": "corruption"}),
        "series": (rng.normal(size=(n, 3, 128)).astype(np.float32), {}),
        "audio": (rng.normal(size=(n // 4, 8_000)).astype(np.float32), {"modality_params": {"sampling_rate": 8_000}}),
        "text": ([" ".join(rng.choice(words, 12)) for _ in range(n)], {}),
    }
    ways: dict[str, Run] = {}
    claims: list[Claim] = []
    for kind, (X, params) in kinds.items():
        for precision in ("float32", "bfloat16"):
            settings = params | {"precision": precision, "max_epochs": 1 if tiny else 2, "batch_size": min(256, len(X))}
            ways[f"{kind}, {precision}"] = lambda X=X, settings=settings: fit(X, "samples/s", **settings)
        claims.append(times("samples/s", f"{kind}, bfloat16", [f"{kind}, float32"]))
    return Work("`fit` in bfloat16 and in float32", ways, claims, repeats=3)
