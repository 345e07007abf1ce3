"""What is measured on rarely available machines, or against another checkout, is tried here on a few samples."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
GPU, PANEL = BENCHMARKS / "gpu.py", BENCHMARKS / "panel.py"
FIVE = ["simclr", "moco", "byol", "swav", "barlow_twins"]


@pytest.mark.parametrize(("part", "frameworks"), [("speed", FIVE), ("train", ["moco"])])
def test_the_gpus_benchmark(part, frameworks, tmp_path):
    options = ["--smoke", "--ways", "eager", "--checkpoints", str(tmp_path), "--frameworks", *frameworks]
    command = [sys.executable, str(GPU), part, *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    names = [line.partition(" ")[0] for line in run.stdout.splitlines()]
    assert [name for name in names if name in FIVE] == frameworks


def test_the_panel():
    run = subprocess.run([sys.executable, str(PANEL), "--smoke"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for kind in ("series", "tables", "text"):
        assert f"| {kind}, all (1 sets) |" in run.stdout


@pytest.mark.parametrize(("name", "rows"), [("loop", []), ("vs_peers", ["transform-rows"])])
def test_a_checkout_is_compared_with_another(name, rows):
    command = [sys.executable, f"benchmarks/{name}.py", *rows, "--against", str(ROOT), "--smoke"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    cases = [line.split()[0] for line in run.stdout.splitlines() if "this checkout is" in line]
    assert cases == [case for case in rows or ["loop-table", "loop-conv"] for _ in ("seconds", "processor_seconds")]
