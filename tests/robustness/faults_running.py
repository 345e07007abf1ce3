"""Faults of running: Ctrl-C at any moment of a fit, and kills of fits whose callbacks freeze layers."""

import argparse
import os
import random
import shutil
import signal
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Freezer, Unfreezer

from skclr import ContrastiveEmbedder
from skclr.frameworks import FRAMEWORKS
from tests.robustness.faults_training import Runs, counted, data, digest

# -- Ctrl-C -----------------------------------------------------------------------------------------------


def state() -> dict[str, Any]:
    """Return what a fit may change of the process, by name."""
    torch.autocast_increment_nesting()
    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": (
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
            torch.is_autocast_cache_enabled(),
        ),
        "nesting of autocast": torch.autocast_decrement_nesting(),
        "default dtype": torch.get_default_dtype(),
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "generators": (torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()), random.getstate()),
        "handler of Ctrl-C": signal.getsignal(signal.SIGINT),
        "filters of warnings": list(warnings.filters),
        "threads": (torch.get_num_threads(), threading.active_count()),
    }


def interrupted(embedder: ContrastiveEmbedder, X: np.ndarray, seconds: float) -> bool:
    """Fit, and press Ctrl-C after so many seconds; tells whether the fit had not ended before."""
    ended = threading.Event()

    def press() -> None:
        if not ended.wait(seconds):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    raised = False
    try:
        thread.start()
        embedder.fit(X)
        ended.set()
        thread.join()
    except KeyboardInterrupt:
        raised = True
    ended.set()
    thread.join()
    return raised


def interrupts(arguments: argparse.Namespace) -> dict[str, Any]:
    """Press Ctrl-C at random moments of fits, look at the process, and compare the next fit with one left alone."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(arguments.seed)
    X = data("table")[:64]
    run = {"max_epochs": 2, "batch_size": 16, "projection_dim": 16, "encoder_params": {"width": 16}, "random_state": 0}
    expected, seconds, pressed, whole = (
        {},
        {},
        dict.fromkeys(("without", "with"), 0),
        dict.fromkeys(("without", "with"), 0),
    )
    changed: dict[str, int] = {}

    def make(framework: str, **params: Any) -> ContrastiveEmbedder:
        return ContrastiveEmbedder(framework, precision="bfloat16", **run, **params)

    for framework in FRAMEWORKS:
        expected[framework] = digest(make(framework).fit(X), X)
        start = time.perf_counter()
        make(framework).fit(X)
        seconds[framework] = time.perf_counter() - start
    before = state()
    trial = 0
    while sum(pressed.values()) < arguments.interrupts:
        framework, kind = list(FRAMEWORKS)[trial % len(FRAMEWORKS)], ("without", "with")[trial % 2]
        trial += 1
        with tempfile.TemporaryDirectory() as folder:
            saving = {"checkpoint_dir": folder, "checkpoint_minutes": 0} if kind == "with" else {}
            if not interrupted(make(framework, **saving), X, rng.uniform(0, 1.1 * seconds[framework])):
                continue
            after = state()
            changed |= {name: changed.get(name, 0) + 1 for name in before if before[name] != after[name]}
            same = digest(make(framework, **saving).fit(X), X) == expected[framework]
            pressed[kind] += 1
            whole[kind] += before == after and same
    return {
        "faults": {
            f"SIGINT in a fit {kind} checkpoints, called again": counted(pressed[kind], whole[kind]) for kind in pressed
        },
        "measured": {"states of the process that changed": changed},
    }


# -- frozen layers ----------------------------------------------------------------------------------------


FREEZING = {
    "Freezer": lambda: [Freezer("encoder.*", at=2)],
    "Freezer and Unfreezer": lambda: [Freezer("encoder.*", at=1), Unfreezer("encoder.*", at=3)],
    "warm start": lambda: [Freezer("encoder.*", at=3)],
}


def train(started: Any, result: Path, framework: str, kind: str, minutes: float, folder: Path | None) -> None:
    """Fit in a process of its own, and write the digest of what came out."""
    torch.set_num_threads(1)
    X = data("table")[:64]
    run = {"batch_size": 16, "projection_dim": 16, "encoder_params": {"width": 16}, "random_state": 0}
    embedder = ContrastiveEmbedder(framework, max_epochs=4, **run)
    if kind == "warm start":
        embedder.set_params(max_epochs=1, warm_start=True).fit(X).set_params(max_epochs=4)
    started.set()
    embedder.set_params(callbacks=FREEZING[kind](), checkpoint_dir=folder, checkpoint_minutes=minutes).fit(X)
    result.write_text(digest(embedder, X))


def freezing(arguments: argparse.Namespace) -> dict[str, Any]:
    """Kill fits in which callbacks freeze layers, call them again, and compare with fits that were left alone."""
    rng = np.random.default_rng(arguments.seed)
    killed, whole, n_after = dict.fromkeys(FREEZING, 0), dict.fromkeys(FREEZING, 0), 0
    with tempfile.TemporaryDirectory() as scratch:
        runs = Runs(Path(scratch), train)
        cases = [(framework, kind) for framework in ("simclr", "moco", "byol") for kind in FREEZING]
        alone = {case: runs.finish(*case, 0.0, None) for case in cases}
        for trial in range(10 * arguments.freezing_kills):
            if sum(killed.values()) >= arguments.freezing_kills:
                break
            case, folder = cases[trial % len(cases)], Path(scratch) / str(trial)
            fit = (*case, 0.0, folder)
            expected, seconds = alone[case]
            if runs.kill(rng.uniform(0, 1.5 * seconds), *fit):
                killed[case[1]] += 1
                n_after += any(folder.glob("*.checkpoint"))
                whole[case[1]] += runs.finish(*fit)[0] == expected
            shutil.rmtree(folder, ignore_errors=True)
    return {
        "faults": {
            f"SIGKILL in a fit with {kind}, called again": counted(killed[kind], whole[kind]) for kind in killed
        },
        "measured": {"kills that came after a checkpoint": n_after},
    }
