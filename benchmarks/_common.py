"""Shared by all benchmarks: data sets, a description of the machine, and files of results."""

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks on real data have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the .npz files")
    return options


def load(folder: Path, name: str) -> Any:
    """Load a data set; exit with a message if it is missing."""
    path = folder / f"{name}.npz"
    if not path.exists():
        sys.exit(f"{path} is missing. Pass its folder as --data")
    return np.load(path)


def processor() -> str:
    """Return the name of the processor, if the system provides it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def surroundings(packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the versions and the machine of a measurement."""
    from skclr import __version__

    return {
        "versions": {"skclr": __version__}
        | {p: version(p) for p in ("torch", "skorch", "scikit-learn", "numpy", *packages)}
        | {"python": platform.python_version()},
        "machine": {
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "capability": torch.backends.cpu.get_cpu_capability(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def write(name: str, result: dict[str, Any], packages: tuple[str, ...] = ()) -> None:
    """Write a result with versions and machine to benchmarks/results/<name>.json."""
    save(name, surroundings(packages) | result)


def save(name: str, result: dict[str, Any]) -> None:
    """Write benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"benchmark": name, **result}, indent=2) + "\n")
    print(f"written to {path}")


def saved(name: str) -> dict[str, Any]:
    """Return the content of benchmarks/results/<name>.json, if the file exists."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}
