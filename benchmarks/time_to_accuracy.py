"""How good is the embedding after how many seconds of `fit`? A curve for each data set, not a point.

Each point is a fit of its own: the learning rate decays to zero over the length of a run, so half of a run is not a
short run. Lengths are shares of the epochs of `max_epochs="auto"`; everything else is at its default. Three judges: a
linear probe with ten labels per class and with all labels, and the vote of ten neighbours. For scale: the same network
trained with all labels and, on colour images, lightly's parts in a loop of their own. `--against` adds another checkout
at its own defaults.

Run with a job as JSON it is one of the processes that fit: skclr is then the one that PYTHONPATH names.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _against import ROOT, commit
from _common import RESULTS, load, parser, save, saved, surroundings
from _panel_data import Set, capped, draws, halved, kind_of, wine
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

SHARES = (0.1, 0.3, 1.0)
JUDGES = {"few": "linear probe, 10 labels per class", "all": "linear probe, all labels", "knn": "10 neighbours"}
N_DRAWS, N_NEIGHBORS = 5, 10


# -- data ---------------------------------------------------------------------------------------------


def digits() -> Set:
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = (bundled.images * 15).astype(np.uint8)
    return halved(images, bundled.target)._replace(params={"modality": "image"})


def read(name: str, max_rows: int, folder: Path) -> Set:
    load(folder, name)
    path = folder / f"{name}.npz"
    return capped(kind_of(path)[1](path), max_rows)


def cut(name: str, max_rows: int) -> Callable[[Path], Set]:
    return partial(read, name, max_rows)


SETS: dict[str, Callable[[Path], Set]] = {
    "mnist, 1,600 rows": cut("mnist_15k", 1_600),
    "mnist, 4,000 rows": cut("mnist_15k", 4_000),
    "mnist, 10,000 rows": cut("mnist_15k", 10_000),
    "cifar10, 1,600 rows": cut("cifar10_12k", 1_600),
    "cifar10, 4,000 rows": cut("cifar10_12k", 4_000),
    "cifar10, 10,000 rows": cut("cifar10_12k", 10_000),
    "fsdd": cut("fsdd_8k", 4_000),
    "satellite": cut("satellite", 10_000),
    "covtype": cut("covtype_20k", 10_000),
    "JapaneseVowels": cut("ts_JapaneseVowels", 10_000),
    "PenDigits": cut("ts_PenDigits", 10_000),
    "trec": cut("trec", 10_000),
}
# Without files.
QUICK: dict[str, Callable[[Path], Set]] = {"digits": lambda folder: digits(), "wine": lambda folder: wine()}
ALL_SETS = {**SETS, **QUICK}


# -- one fit, in a process of its own -----------------------------------------------------------------


def judge(train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> dict[str, float]:
    """Return the accuracy of every judge."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    few = [probe.fit(train[rows], y[rows]).score(test, y_test) for rows in draws(y, 10, N_DRAWS)]
    neighbors = KNeighborsClassifier(min(N_NEIGHBORS, len(y))).fit(normalize(train), y)
    return {
        "few": float(np.mean(few)) if few else float("nan"),
        "all": float(probe.fit(train, y).score(test, y_test)),
        "knn": float(neighbors.score(normalize(test), y_test)),
    }


def automatic_epochs(given: Set, **params: Any) -> int:
    """Return the epochs of `max_epochs="auto"`, without training."""
    from skorch.callbacks import Callback

    from skclr import ContrastiveEmbedder

    class Begun(Exception):
        pass

    class Stop(Callback):
        def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
            raise Begun(net.max_epochs)

    try:
        ContrastiveEmbedder(**given.params, **params, callbacks=[Stop()]).fit(given.X)
    except Begun as begun:
        return int(begun.args[0])
    raise RuntimeError("no epoch was planned")


def fit_skclr(given: Set, epochs: int, seed: int, framework: str, supervised: bool) -> tuple[Any, dict[str, float]]:
    """Fit an embedder; return the embeddings of both parts, and the time."""
    from skclr import ContrastiveEmbedder
    from skclr.frameworks import Supervised

    params: dict[str, Any] = {"framework": framework}
    if supervised:
        n_classes = len(np.unique(given.y))
        # The network of the samples: supervised training needs no plain features.
        params = {"framework": Supervised, "framework_params": {"n_classes": n_classes}, "positives": "labels"}
        params["passthrough"] = False
    embedder = ContrastiveEmbedder(**given.params, **params, max_epochs=epochs, device="cpu", random_state=seed)
    clock, processor = time.perf_counter(), time.process_time()
    embedder.fit(given.X, given.y)
    spent = {"seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - processor}
    parts = [embedder.transform(X) for X in (given.X, given.X_test)]
    return [part.toarray() if hasattr(part, "toarray") else np.asarray(part) for part in parts], spent


def fit_lightly(given: Set, epochs: int, seed: int, framework: str) -> tuple[Any, dict[str, float]]:
    """Train the same encoder by lightly's parts, at its usual batch of 128."""
    from _lightly import as_it_sees, train

    from skclr.encoders import Conv
    from skclr.frameworks import FRAMEWORKS
    from skclr.precision import multiplies_faster_in_bfloat16

    torch.manual_seed(seed)
    encoder = Conv((3, *given.X.shape[1:3])).to(memory_format=torch.channels_last)
    autocast = torch.bfloat16 if multiplies_faster_in_bfloat16(torch.device("cpu")) else None
    settings = {"epochs": epochs, "batch_size": min(128, len(given.X)), "autocast": autocast, "seed": seed}
    processor = time.process_time()
    seconds = train(
        framework, encoder, encoder.out_features, given.X, FRAMEWORKS[framework].recipes["adamw"], **settings
    )
    spent = {"seconds": seconds, "processor_seconds": time.process_time() - processor}
    with torch.inference_mode():
        encoder.eval()
        parts = [torch.cat([encoder(x) for x in as_it_sees(X).split(500)]).numpy() for X in (given.X, given.X_test)]
    return parts, spent


def measure(job: dict[str, Any]) -> dict[str, float]:
    """Fit once and judge the embedding."""
    torch.set_num_threads(job["threads"])
    given = ALL_SETS[job["set"]](Path(job["data"]))
    supervised = job["line"] == "supervised"
    share = job["share"]
    epochs = max(1, round(share * automatic_epochs(given, framework=job["framework"]))) if share else 0
    if job["line"] == "lightly":
        (train, test), spent = fit_lightly(given, epochs, job["seed"], job["framework"])
    else:
        (train, test), spent = fit_skclr(given, epochs, job["seed"], job["framework"], supervised)
    return {"epochs": epochs, **spent, **judge(train, given.y, test, given.y_test)}


def measure_with(checkout: Path, job: dict[str, Any]) -> dict[str, float]:
    """Measure a job by skclr of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": str(job["threads"])}
    command = [sys.executable, __file__, json.dumps(job)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{job['line']} on {job['set']} failed:\n{done.stderr[-2_000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


# -- the curves ---------------------------------------------------------------------------------------


def lines_of(name: str, other: Path | None, framework: str) -> dict[str, Path]:
    """Return the lines of a set's picture, with the checkout of each."""
    lines = {"skclr": ROOT}
    if other is not None:
        lines["skclr before"] = other
    lines["supervised"] = ROOT
    colour = name.startswith("cifar10") and framework in ("simclr", "moco", "byol", "swav", "barlow_twins")
    if colour and find_spec("lightly"):
        lines["lightly"] = ROOT
    return lines


def draw(sets: dict[str, Any]) -> Figure:
    """Draw one panel for each set and judge: accuracy over seconds."""
    figure = Figure(figsize=(3.6 * len(JUDGES), 2.6 * len(sets)), layout="constrained")
    grid = figure.subplots(len(sets), len(JUDGES), squeeze=False)
    for row, (name, found) in zip(grid, sets.items(), strict=True):
        for axes, (key, label) in zip(row, JUDGES.items(), strict=True):
            for number, line in enumerate(("skclr", "skclr before", "supervised", "lightly")):
                if points := found["lines"].get(line):
                    seconds = [np.median([run["processor_seconds"] for run in runs]) for runs in points.values()]
                    accuracy = [100 * np.mean([run[key] for run in runs]) for runs in points.values()]
                    axes.plot(seconds, accuracy, marker="o", color=f"C{number}", label=line)
            axes.set(xscale="log", xlabel="processor seconds of fit", ylabel="accuracy, %")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
            axes.set_title(f"{name}\n{label}", fontsize="small")
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].legend(fontsize="small", frameon=False)
    return figure


def keep(name: str, framework: str, found: dict[str, Any]) -> None:
    """Write the curves of a set and draw all that were measured."""
    key = "time_to_accuracy"
    sets = saved(key).get("sets", {})
    sets[name if framework == "simclr" else f"{name}, {framework}"] = found
    save(key, {"judges": JUDGES, "sets": sets})
    figure = draw(sets)
    figure.savefig(RESULTS / f"{key}.svg", metadata={"Date": None})


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", choices=ALL_SETS, help="sets to measure; all with files by default")
    options.add_argument("--framework", default="simclr")
    options.add_argument("--shares", nargs="+", type=float, default=SHARES, help="shares of the automatic epochs")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--against", type=Path, help="another checkout, at its own defaults")
    options.add_argument("--lines", nargs="+", help="lines to measure: skclr, skclr before, supervised, lightly")
    options.add_argument("--quick", action="store_true", help="two bundled sets and short runs; nothing is written")
    arguments = options.parse_args()
    names = arguments.sets or (QUICK if arguments.quick else SETS)
    shares = (0.05, 0.1) if arguments.quick else arguments.shares
    for name in names:
        found: dict[str, Any] = {"framework": arguments.framework, "lines": {}, **surroundings()}
        found["commits"] = {"skclr": commit(ROOT)}
        if arguments.against:
            found["commits"]["skclr before"] = commit(arguments.against)
        checkouts = lines_of(name, arguments.against, arguments.framework)
        # All lines of a length in turn, so that a busy machine slows them alike.
        for share in shares:
            for seed in range(arguments.seeds):
                for line, checkout in checkouts.items():
                    if arguments.lines and line not in arguments.lines:
                        continue
                    job = {"set": name, "line": line, "share": share, "seed": seed, "data": str(arguments.data)}
                    job |= {"framework": arguments.framework, "threads": arguments.threads}
                    run = measure_with(checkout, job)
                    found["lines"].setdefault(line, {}).setdefault(str(share), []).append(run)
                    told = "  ".join(f"{key} {100 * run[key]:.1f}" for key in JUDGES)
                    print(
                        f"{name:22} {line:14} {run['epochs']:4.0f} epochs {run['seconds']:6.1f} s  {told}", flush=True
                    )
        if not arguments.quick:
            keep(name, arguments.framework, found)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        print(json.dumps(measure(json.loads(sys.argv[1]))))
    else:
        main()
