"""Feed readers, parameters, `skclr.load` and the command line what nobody would: only documented answers may come out.

atheris guides the bytes by the lines that they reach; a run ends at the first other exception, at an input that takes
over 5 s of the processor or 60 on the clock, and where the process would grow by more than 1 GiB. Each target runs in a
process of its own. Run by `python -m tests.robustness.fuzz`.
"""

import argparse
import contextlib
import functools
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from joblib import parallel_config
from skorch import NeuralNet

from benchmarks._common import RESULTS, write
from tests.robustness.fuzz_inputs import Folder, altered, anything, command_line, pick, scalar, several

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing, and without it there is nothing to do: pip install atheris")

with atheris.instrument_imports(include=["skclr"]):
    from skclr import ContrastiveEmbedder, load
    from skclr.command_line import main as skclr
    from skclr.encoders import ENCODERS
    from skclr.evaluation import comparison
    from skclr.files import format as storage
    from skclr.frameworks import FRAMEWORKS
    from skclr.losses import LOSSES
    from skclr.modalities import MODALITIES
    from skclr.modalities.inferred import infer_modality
    from skclr.model import InputFeatures
    from skclr.plotting.reporting import page
    from skclr.saving import CLASSES
    from skclr.training import ContrastiveNet
    from skclr.views import VIEWS

LIMITS = ["-timeout=60", "-rss_limit_mb=4096", "-max_len=512", "-len_control=0"]
# Processor time: wall-clock time, which is limited too, would include other processes.
MOST_SECONDS = 5
# libFuzzer's own limit of an allocation sees nothing of memory that is mapped.
MOST_BYTES = 2**30
MODALITY_PARAMS: dict[str, dict[str, Any]] = {
    "audio": {"sampling_rate": 1000, "n_mels": 3},
    "text": {"tokenizer": "words"},
}
TABLE = np.arange(12.0).reshape(4, 3) % 5
# A model whose file is small, and soon read.
SMALL = {
    "encoder": "mlp",
    "encoder_params": {"n_layers": 1, "width": 2, "out_features": 2},
    "framework_params": {"hidden_dim": 2},
    "projection_dim": 2,
    "random_state": 0,
}
# Values of parameters with which a fit goes further than with what `scalar` gives.
NAMES = [*FRAMEWORKS, *LOSSES, *ENCODERS, *VIEWS, *MODALITIES]
GOOD = [*NAMES, *["auto", "labels", "sgd", "all", "constant", "keep"], 3, 0.1]
ENTRIES = [
    "temperature",
    "n_views",
    "rate",
    "width",
    "hidden_dim",
    "betas",
    "image_shape",
    "sampling_rate",
    "n_neighbors",
]


# -- targets --------------------------------------------------------------------------------------------------


def reading(name: str) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        draw = atheris.FuzzedDataProvider(data)
        modality, estimator = MODALITIES[name](**MODALITY_PARAMS.get(name, {})), InputFeatures()
        try:
            X = anything(draw)
            infer_modality(X, {})
            rows = modality.read(X, estimator, reset=True)
            modality.to_tensor(rows[np.arange(min(2, rows.shape[0]))])
            modality.read(anything(draw), estimator, reset=False)
        except (ValueError, TypeError, FileNotFoundError):
            pass

    return target


def one_epoch(net: ContrastiveNet, X: Any, y: Any = None, epochs: int = 0, **params: Any) -> ContrastiveNet:
    """Train as skorch's `fit_loop` does, not for long."""
    return NeuralNet.fit_loop(net, X, y, epochs=min(epochs, 1), **params)


@contextlib.contextmanager
def cheap() -> Iterator[None]:
    """Cut off what costs time, and little of what looks at what was given: later epochs, the compiler, later cells."""
    cells: list[Any] = []

    @functools.wraps(comparison.run_cell)
    def first_cell(*arguments: Any) -> Any:
        cells.append(cells[0] if cells else run_cell(*arguments))
        return cells[-1]

    run_cell = comparison.run_cell
    with (
        patch.object(ContrastiveNet, "fit_loop", one_epoch),
        patch.object(torch, "compile", lambda module, **params: module),
        patch.object(comparison, "run_cell", first_cell),
        patch.object(page, "_engines", functools.cache(page._engines)),
        patch.object(page.sections, "findings", lambda *arguments: []),
        patch.object(page.sections, "measures", lambda *arguments: []),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield


def parameters() -> Callable[[bytes], None]:
    os.chdir(tempfile.mkdtemp())
    names = sorted(ContrastiveEmbedder().get_params())

    def entry(draw: Any) -> str:
        return pick(draw, ENTRIES) if draw.ConsumeBool() else draw.ConsumeUnicode(4)

    def value(draw: Any, name: str) -> Any:
        if name == "checkpoint_dir":
            # It writes there as whoever runs it.
            return pick(draw, [None, "runs", "{run}", "", 3, b"x"])
        if name.endswith("_params") and draw.ConsumeBool():
            return {entry(draw): scalar(draw) for _ in several(draw, 2)}
        return pick(draw, GOOD) if draw.ConsumeBool() else scalar(draw)

    def target(data: bytes) -> None:
        draw = atheris.FuzzedDataProvider(data)
        chosen = {name: value(draw, name) for name in [pick(draw, names) for _ in several(draw, 4)]}
        # A narrow network is soon made.
        narrow = {"projection_dim": 4} if "encoder" in chosen else {"projection_dim": 4, "encoder_params": {"width": 4}}
        with cheap(), contextlib.suppress(ValueError, TypeError, FloatingPointError, MemoryError):
            ContrastiveEmbedder(**{**narrow, **chosen}).fit(TABLE)

    return target


def loading() -> Callable[[bytes], None]:
    path = Path(tempfile.mkdtemp()) / "model.skclr"
    ContrastiveEmbedder(max_epochs=1, **SMALL).fit(TABLE).save(path)
    raw = path.read_bytes()

    def target(data: bytes) -> None:
        draw = atheris.FuzzedDataProvider(data)
        content = altered(draw, raw)
        # As an attacker would: the checksum is valid.
        path.write_bytes(storage.checksummed(content) if draw.ConsumeBool() else content)
        with contextlib.suppress(ValueError):
            load(path)

    return target


def values(data: bytes) -> None:
    """Read trees of values, well formed or nearly so."""
    draw = atheris.FuzzedDataProvider(data)
    kinds = ["list", "float", "tuple", "dict", "tensor", "array", "objects", "missing", "class", "part", "code"]

    def tree(depth: int) -> Any:
        if depth == 4 or draw.ConsumeBool():
            return pick(draw, [None, True, draw.ConsumeInt(4), draw.ConsumeUnicode(5), *ENTRIES, *CLASSES])
        kind, items = pick(draw, kinds), [tree(depth + 1) for _ in several(draw, 3)]
        if kind == "dict":
            items = [[item, tree(depth + 1)] for item in items]
        return items if kind == "list" else {kind: items}

    with contextlib.suppress(storage.ModelFileError):
        storage.Reader(CLASSES, {}).read(tree(0))


def run(arguments: list[str]) -> None:
    """Run the command line in this process, and compare its output with what it documents."""
    with cheap(), parallel_config("threading"):
        try:
            code = skclr(arguments)
        except SystemExit as end:
            # Raised by argparse: help, or a wrong option.
            code = end.code
        said = sys.stderr.getvalue()
    if code not in (0, 1, 2) or (code == 1 and not said.startswith("skclr: ")):
        raise AssertionError(f"{arguments} ended with {code}, saying {said!r}")


def commands() -> Callable[[bytes], None]:
    scratch = Path(tempfile.mkdtemp()) / "here"
    scratch.mkdir()
    os.chdir(scratch)
    model, good = scratch.parent / "model.skclr", scratch / "good.csv"
    folder = Folder(scratch)
    good.write_bytes(folder.good.to_csv(index=False).encode())
    # Time for late imports is not caused by the input.
    run(["fit", str(good), "--target", "label", "--output", str(model)])
    run(["report", str(good), "--target", "label", "--model", str(model)])
    run(["compare", str(good), "--target", "label", "--labels", "1", "--folds", "2"])

    def target(data: bytes) -> None:
        draw = atheris.FuzzedDataProvider(data)
        for left in scratch.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        (scratch / "model.skclr").symlink_to(model)
        run(command_line(draw, folder.fill(draw)))

    return target


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    **{f"read {name}": lambda name=name: reading(name) for name in MODALITIES},
    "parameters": parameters,
    "load": loading,
    "values of a file": lambda: values,
    "command line": commands,
}


def timed(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        start = time.process_time()
        target(data)
        if time.process_time() - start > MOST_SECONDS:
            raise TimeoutError(f"an input took over {MOST_SECONDS} s")

    return run


def bound_memory(n_bytes: int) -> None:
    """Make every allocation fail that would take the process so much above what it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fuzz(name: str, n_inputs: int, seconds: int, seed: int) -> dict[str, Any]:
    limits = [*LIMITS, f"-runs={n_inputs}", f"-max_total_time={seconds}", f"-seed={seed + 1}"]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "tests.robustness.fuzz",
            "--target",
            name,
            *limits,
            f"-artifact_prefix={folder}/",
        ]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if ended.returncode:
        print(ended.stdout[-3000:] + ended.stderr[-3000:])
    counts = [int(count) for count in re.findall(r"^#(\d+)", ended.stderr, re.MULTILINE)]
    return {
        "inputs": max(counts, default=0),
        "seconds": round(time.monotonic() - start),
        "failures": int(ended.returncode != 0),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all without one")
    options.add_argument("--target", help=argparse.SUPPRESS)
    options.add_argument("--inputs", type=int, default=100_000)
    options.add_argument("--seconds", type=int, default=600, help="after which a target is left")
    options.add_argument("--seed", type=int, default=0)
    arguments, flags = options.parse_known_args()
    if arguments.target:
        warnings.simplefilter("ignore")
        target = timed(TARGETS[arguments.target]())
        atheris.Setup([sys.argv[0], *flags], target)
        bound_memory(MOST_BYTES)
        atheris.Fuzz()
    path = RESULTS / "fuzz.json"
    # Targets can be run one by one; the others' results stay.
    results = json.loads(path.read_text())["targets"] if path.exists() else {}
    for name in arguments.targets or TARGETS:
        results[name] = fuzz(name, arguments.inputs, arguments.seconds, arguments.seed)
        print(name, results[name], flush=True)
        write("fuzz", {"seed": arguments.seed, "targets": results}, packages=("atheris",))


if __name__ == "__main__":
    main()
