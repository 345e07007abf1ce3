"""Cost of views, losses and `transform`, compared with kornia, torchvision, lightly and the bare encoder."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _common import saved
from _measuring import Measures, Run, Work, exponent, greatest, rate, times
from _speed_training import pictures, table
from torch import Tensor, nn

from skclr import ContrastiveEmbedder
from skclr.views import ImageViews

# Area of the crop; brightness, contrast and saturation; hue; and their probability and that of grey.
CROP_SCALE, JITTER, HUE, JITTERED, GREY = (0.2, 1.0), 0.4, 0.1, 0.8, 0.2


# -- views --------------------------------------------------------------------------------------------


def kornia(mode: str) -> Callable[[Tensor], Tensor]:
    import kornia.augmentation as K

    return nn.Sequential(
        K.RandomResizedCrop((32, 32), scale=CROP_SCALE, cropping_mode=mode),
        K.RandomHorizontalFlip(),
        K.ColorJitter(JITTER, JITTER, JITTER, HUE, p=JITTERED),
        K.RandomGrayscale(p=GREY),
    )


def torchvision() -> Callable[[Any], Tensor]:
    from torchvision import transforms as T

    return T.Compose(
        [
            T.RandomResizedCrop(32, scale=CROP_SCALE),
            T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(JITTER, JITTER, JITTER, HUE)], JITTERED),
            T.RandomGrayscale(GREY),
            T.ToTensor(),
        ]
    )


def views(tiny: bool) -> Work:
    """Two views of each image of a batch: crop, flip, jitter and grey, each with the same parameters."""
    n, n_calls = (8, 1) if tiny else (256, 4)
    X = pictures(n)
    x, rows = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255, torch.arange(n)
    maker = ImageViews(
        crop_scale=CROP_SCALE, brightness=JITTER, contrast=JITTER, saturation=JITTER, hue=HUE, grey=GREY
    ).fit(x)
    generator = torch.Generator().manual_seed(0)

    def timed(batch: Callable[[], Any], n_calls: int) -> Measures:
        start = time.perf_counter()
        for _ in range(n_calls):
            batch()
        return rate("views/s", n_calls * 2 * n, start)

    def batched(mode: str) -> Measures:
        augment = kornia(mode)
        return timed(lambda: [augment(x), augment(x)], n_calls)

    def one_by_one() -> Measures:
        from PIL import Image

        augment = torchvision()

        def batch() -> None:
            images = [Image.fromarray(image) for image in X]
            for _ in range(2):
                torch.stack([augment(image) for image in images])

        return timed(batch, n_calls)

    return Work(
        "image views",
        {
            "skclr": lambda: timed(lambda: maker(x, rows, generator), 8 * n_calls),
            "kornia, crops by slices": lambda: batched("slice"),
            "kornia, crops by resampling": lambda: batched("resample"),
            "torchvision per sample": one_by_one,
        },
        [
            times(
                "views/s",
                "skclr",
                ["kornia, crops by slices", "kornia, crops by resampling"],
                4.5,
                "skclr relative to kornia",
            ),
            times("views/s", "skclr", ["torchvision per sample"], 25),
        ],
        repeats=9,
        settings={"batch_size": n, "shape": [3, 32, 32]},
    )


# -- losses -------------------------------------------------------------------------------------------


def nt_xent(tiny: bool) -> Work:
    """Forward and backward pass of one loss; each measurement has its own process."""
    import losses

    n_rows = 128 if tiny else 8_192
    arguments = argparse.Namespace(threads=torch.get_num_threads(), memory=18.0, repeats=3, enough=10.0, timeout=100.0)

    def apart(library: str) -> Run:
        def run() -> Measures:
            if library in losses.PEERS and not losses.installed(library):
                raise ImportError(f"{library} is not installed")
            found = losses.measure_apart(library, "nt_xent", n_rows, arguments)
            return {"ms": found["milliseconds"], "MiB": found["mebibytes"]}

        return run

    return Work(
        f"NT-Xent, {n_rows:,} rows",
        {library: apart(library) for library in ("skclr", "plain", "lightly")},
        [
            times("ms", "skclr", ["lightly"], 3),
            times("MiB", "skclr", ["lightly"], 6),
            times("ms", "skclr", ["plain"], 1.8),
        ],
        repeats=3,
        settings={"rows": n_rows, "width": losses.WIDTH},
    )


def kept_memory() -> dict[str, Measures]:
    """Return the MiB of every pairwise loss by the number of rows, as measured by `losses.py`."""
    found: dict[str, Measures] = {}
    for m in saved("losses")["measurements"]:
        if m["library"] == "skclr" and m["rows"] >= 8_192:
            found.setdefault(f"{m['rows']:,} rows", {})[m["loss"]] = m["mebibytes"]
    return found


def every_loss(tiny: bool) -> Work:
    """Memory of every pairwise loss at one size."""
    found = kept_memory()["32,768 rows"]
    ways: dict[str, Run] = {name: lambda name=name: {"MiB": found[name]} for name in found}
    return Work("every pairwise loss, 32,768 rows", ways, [greatest("MiB", 300)], repeats=1)


def loss_growth(tiny: bool) -> Work:
    """Memory of every pairwise loss by the number of rows."""
    found = kept_memory()
    sizes = {way: int(way.split()[0].replace(",", "")) for way in found}
    ways: dict[str, Run] = {way: lambda way=way: found[way] for way in found}
    claims = [exponent(name, sizes, 1.1) for name in found["32,768 rows"]]
    return Work("memory of every pairwise loss by rows, MiB", ways, claims, repeats=1)


# -- transform ----------------------------------------------------------------------------------------


def transform(kind: str, tiny: bool) -> Work:
    """`transform` of rows or images, compared with the encoder alone on samples in memory."""
    n = 64 if tiny else (100_000 if kind == "rows" else 10_000)
    X: np.ndarray = table(n) if kind == "rows" else pictures(n)
    unit = f"{kind}/s"
    embedder = ContrastiveEmbedder(max_epochs=0, device="cpu", passthrough=False, random_state=0).fit(X)
    beside = ContrastiveEmbedder(max_epochs=0, device="cpu", passthrough=True, random_state=0).fit(X)
    if kind == "rows":
        ready = torch.from_numpy(((X - X.mean(0)) / X.std(0)).astype(np.float32))
    else:
        ready = torch.from_numpy(X).permute(0, 3, 1, 2).float().div(255).contiguous()

    def timed(work: Callable[[], Any]) -> Measures:
        start = time.perf_counter()
        work()
        return rate(unit, n, start)

    def bare(size: int) -> Run:
        def work() -> np.ndarray:
            with torch.inference_mode():
                return torch.cat([embedder.encoder_(chunk) for chunk in ready.split(size)]).numpy()

        return lambda: timed(work)

    forwards = {f"bare forward, chunks of {size:,}": bare(size) for size in (64, 256, 1_024, 4_096)}
    ways: dict[str, Run] = {"transform": lambda: timed(lambda: embedder.transform(X)), **forwards}
    if kind == "rows":
        ways["transform, with inputs"] = lambda: timed(lambda: beside.transform(X))
    return Work(
        f"`transform`, {n:,} {kind}",
        ways,
        [times(unit, "transform", list(forwards), 0.95, "transform relative to the fastest bare forward")],
        settings={kind: n},
    )
