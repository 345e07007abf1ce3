"""What is measured on machines that are rarely at hand is tried here on a few images."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
GPU, PANEL = BENCHMARKS / "gpu.py", BENCHMARKS / "panel.py"
FIVE = ["simclr", "moco", "byol", "swav", "barlow_twins"]


@pytest.mark.parametrize("part", ["speed", "train"])
def test_the_gpus_benchmark(part, tmp_path):
    command = [sys.executable, str(GPU), part, "--smoke", "--ways", "eager", "--checkpoints", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    names = [line.partition(" ")[0] for line in run.stdout.splitlines()]
    assert [name for name in names if name in FIVE] == FIVE


def test_the_panel():
    run = subprocess.run([sys.executable, str(PANEL), "--smoke"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for kind in ("series", "tables", "text"):
        assert f"| {kind}, all (1 sets) |" in run.stdout
