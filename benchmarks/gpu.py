"""CIFAR-10 on a GPU: the speed of `fit`, and the accuracy of a ResNet-18 after a number of epochs.

`speed`: images per second of each framework's `fit` (views included), of its bare step on prepared views, and of
lightly's pipeline if it is installed. `train`: one framework for a number of epochs, then a k-NN and a linear probe;
the process ends after `--seconds`, and the same call resumes from the last checkpoint. `--smoke` tries both on a few
images.
"""

import io
import os
import signal
import statistics
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import load, parser, write
from quality import judge
from torch import Tensor

from skclr import ContrastiveEmbedder

FIVE = ("simclr", "moco", "byol", "swav", "barlow_twins")
# For ResNet-18: solo-learn's online linear probe after 1,000 epochs, and lightly's k-NN after 200 (batch 512; the
# largest value over the epochs).
SOLO = {"simclr": 90.74, "moco": 92.94, "byol": 92.58, "swav": 89.17, "barlow_twins": 92.10, "sup_con": 93.82}
LIGHTLY = {"simclr": 84.8, "moco": 84.7, "byol": 86.8, "swav": 84.2, "barlow_twins": 81.9}

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def images(folder: Path) -> Arrays:
    """Decode CIFAR-10: (50,000, 32, 32, 3) uint8 and their classes, then 10,000 test images."""
    from PIL import Image

    data = load(folder, "cifar10_jpeg")
    arrays: list[np.ndarray] = []
    for part in ("train", "test"):
        ends, coded = data[f"off_{part}"], data[f"jpeg_{part}"].tobytes()
        decoded = [np.asarray(Image.open(io.BytesIO(coded[a:b]))) for a, b in pairwise(ends)]
        arrays += [np.stack(decoded), data[f"y_{part}"]]
    return tuple(arrays)


def few_images() -> Arrays:
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (64, 16, 16, 3), dtype=np.uint8), np.arange(64) % 10
    return X, y, X[:32], y[:32]


def embedder(framework: str, epochs: int, arguments: Any, **params: Any) -> ContrastiveEmbedder:
    """A ResNet-18 trained by SGD, as in the benchmarks of lightly and solo-learn; "sup_con" is SimCLR with labels."""
    if framework == "sup_con":
        params |= {"loss": "sup_con", "positives": "labels"}
    return ContrastiveEmbedder(
        "simclr" if framework == "sup_con" else framework,
        encoder="conv" if arguments.smoke else "resnet18",
        optimizer="sgd",
        max_epochs=epochs,
        warmup_epochs=min(10, epochs / 10),
        batch_size=arguments.batch_size,
        random_state=arguments.seed,
        **params,
    )


# -- speed --------------------------------------------------------------------------------------------


def wait() -> float:
    """Return the time after the device has finished all its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def bare_step(net: Any, size: int, n_steps: int) -> float:
    """Return images per second of a trained net's framework on views in the device's memory."""
    device, module, optimizer = torch.device(net.device), net.module_, net.optimizer_
    views = [torch.rand(size, 3, 32, 32, device=device) for _ in range(2)]
    groups = torch.arange(size, device=device)
    module.train()

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, net.autocast, enabled=net.autocast is not None):
            loss: Tensor = module(views, groups)
        loss.backward()
        optimizer.step()
        module.after_step(0.5)

    for _ in range(3):
        step()
    start = wait()
    for _ in range(n_steps):
        step()
    return n_steps * size / (wait() - start)


def lightly_pipeline(framework: str, X: np.ndarray, size: int, n_steps: int, autocast: torch.dtype | None) -> float:
    """Return images per second of lightly's transforms, heads, loss and loader around the same encoder."""
    from _lightly import METHODS, Pictures

    from skclr.encoders import ResNet18

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method, transform = METHODS[framework]
    model = method(ResNet18((3, 32, 32)), 512).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    pictures = Pictures(np.resize(X, (size * (n_steps + 3), *X.shape[1:])), transform(32))
    loader = torch.utils.data.DataLoader(pictures, size, num_workers=os.cpu_count() or 1, drop_last=True)
    for number, batch in enumerate(loader):
        if number == 3:
            start = wait()
        model.before_step()
        with torch.autocast(device.type, autocast, enabled=autocast is not None):
            outputs = model([view.to(device, memory_format=torch.channels_last) for view in batch])
        optimizer.zero_grad()
        model.loss(*(output.float() for output in outputs)).backward()
        optimizer.step()
    return n_steps * size / (wait() - start)


def speed(arguments: Any, X: np.ndarray) -> dict[str, Any]:
    """Measure the frameworks one after the other, eager and compiled."""
    rows: dict[str, Any] = {}
    steps = 2 if arguments.smoke else 60
    for framework in arguments.frameworks:
        row: dict[str, Any] = {}
        for way in arguments.ways:
            fitted = embedder(framework, arguments.epochs or 4, arguments, compile=way == "compiled").fit(X)
            n_images = len(X) // arguments.batch_size * arguments.batch_size
            # The first epoch is a warm-up.
            seconds = statistics.median(fitted.net_.history[1:, "dur"])
            bare = bare_step(fitted.net_, arguments.batch_size, steps)
            row[way] = {"fit": n_images / seconds, "bare step": bare, "ratio": n_images / seconds / bare}
        if find_spec("lightly") and not arguments.smoke:
            row["lightly"] = lightly_pipeline(framework, X, arguments.batch_size, steps, fitted.net_.autocast)
        rows[framework] = row
        print(framework, row, flush=True)
    return rows


# -- accuracy -----------------------------------------------------------------------------------------


def train(arguments: Any, framework: str, arrays: Arrays) -> dict[str, Any]:
    """Train for the given number of epochs, resuming from the last checkpoint."""
    run = f"{framework}_{arguments.epochs}_{arguments.batch_size}_{arguments.seed}"
    fitted = embedder(
        framework,
        arguments.epochs,
        arguments,
        compile="compiled" in arguments.ways,
        checkpoint_dir=arguments.checkpoints / run,
        checkpoint_minutes=1,
        verbose=1,
    ).fit(*arrays[:2])
    X, y, X_test, y_test = arrays
    scores = judge(fitted.transform(X), y, fitted.transform(X_test), y_test)
    result = {"epochs": arguments.epochs, "seconds": sum(fitted.history_[:, "dur"]), **scores}
    print(framework, result, f"solo-learn {SOLO.get(framework)}, lightly {LIGHTLY.get(framework)}", flush=True)
    return result


def main() -> None:
    options = parser(__doc__)
    options.add_argument("part", choices=("speed", "train"))
    options.add_argument("--frameworks", nargs="+", choices=(*FIVE, "sup_con"), default=list(FIVE))
    options.add_argument("--ways", nargs="+", choices=("eager", "compiled"), default=["eager", "compiled"])
    options.add_argument("--epochs", type=int, help="200 to train, 4 to measure speed")
    options.add_argument("--batch-size", type=int, default=512)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seconds", type=int, default=540, help="after which the process ends; 0 means never")
    options.add_argument("--checkpoints", type=Path, default=Path("data/checkpoints"))
    options.add_argument("--smoke", action="store_true", help="a few random images, in a minute without a GPU")
    arguments = options.parse_args()
    if arguments.smoke:
        arguments.batch_size, arguments.epochs = 64, 2
    arrays = few_images() if arguments.smoke else images(arguments.data)
    settings = {"batch_size": arguments.batch_size, "seed": arguments.seed, "ways": arguments.ways}
    if arguments.part == "speed":
        result = {"images_per_second": speed(arguments, arrays[0])}
        if not arguments.smoke:
            write("gpu_speed", settings | result, ("lightly",) if find_spec("lightly") else ())
        return
    signal.alarm(arguments.seconds)
    arguments.epochs = arguments.epochs or 200
    for framework in arguments.frameworks:
        learned = train(arguments, framework, arrays)
        if not arguments.smoke:
            anchors = {"solo_learn_linear_1000": SOLO.get(framework), "lightly_knn_200": LIGHTLY.get(framework)}
            write(f"gpu_{framework}", settings | learned | anchors)


if __name__ == "__main__":
    main()
