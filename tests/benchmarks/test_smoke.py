"""Run on a few samples what is measured on machines that are rarely available, or against another checkout."""

import sys
from pathlib import Path

import _against
import frameworks
import gpu
import loop
import modalities
import numpy as np
import panel
import pytest
import semi_supervised
import time_to_accuracy
import torch
import vs_peers

from skclr.model import Model

ROOT = Path(__file__).parents[2]
FIVE = ["simclr", "moco", "byol", "swav", "barlow_twins"]

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a benchmark with the arguments of its command line, and return what it prints."""

    def run(program, *arguments):
        monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
        program.main()
        return capsys.readouterr().out

    n_threads = torch.get_num_threads()
    yield run
    torch.set_num_threads(n_threads)


@pytest.mark.parametrize(("part", "frameworks"), [("speed", FIVE), ("train", ["moco"])])
def test_gpu(part, frameworks, run, tmp_path):
    options = ["--smoke", "--ways", "eager", "--seconds", 0, "--checkpoints", tmp_path, "--frameworks", *frameworks]
    names = [line.partition(" ")[0] for line in run(gpu, part, *options).splitlines()]
    assert [name for name in names if name in FIVE] == frameworks


def test_panel(run):
    shown = run(panel, "--smoke")
    for kind in ("series", "tables", "text"):
        assert f"| {kind}, all (1 sets) |" in shown


def test_modalities_where_no_column_of_the_embedding_is_left(monkeypatch):
    monkeypatch.setattr(Model, "share_of_weight", lambda model, samples: 0.0)
    monkeypatch.setattr(modalities, "fields_own", lambda kind, given, train, test: {})
    X, y = np.random.default_rng(0).normal(size=(24, 1, 30)), np.arange(24) % 2
    result = modalities.measure_classes("series", modalities.Set(X, y, X, y), seed=0)
    assert result["passthrough"]
    assert result["rows"]["embedding"]["all"] > 0.5


def test_semi_supervised(run):
    shown = run(semi_supervised, "--smoke")
    for kind in ("tables", "series"):
        assert f"| {kind}, dev half | 5 |" in shown


def test_a_checkout_is_compared_with_another(run):
    shown = run(vs_peers, "transform-rows", "--against", ROOT, "--smoke")
    cases = [line.split()[0] for line in shown.splitlines() if "this checkout is" in line]
    assert cases == ["transform-rows"] * len(_against.MEASURES)


def test_both_loops_are_compared(run, monkeypatch):
    compared = []
    monkeypatch.setattr(loop, "compare", lambda cases, other, *settings: compared.append((*cases, other)))
    run(loop, "--against", ROOT, "--smoke")
    assert compared == [("loop-table", "loop-conv", ROOT)]


@pytest.mark.parametrize("case", _against.CASES)
def test_every_case_runs(case):
    _against.CASES[case](True)()


def test_frameworks_start_from_raw_features_and_an_untrained_encoder():
    assert set(frameworks.SETS) <= set(time_to_accuracy.ALL_SETS)
    job = {"set": "wine", "line": "skclr", "share": 0, "seed": 0, "data": "", "framework": "simclr"}
    for accuracies in (frameworks.raw("wine", Path()), time_to_accuracy.measure({**job, "threads": 1})):
        assert min(accuracies[judge] for judge in time_to_accuracy.JUDGES) > 1 / 3


@pytest.mark.parametrize("line", ["skclr", "supervised"])
def test_a_point_of_time_to_accuracy(line):
    job = {"set": "wine", "line": line, "share": 0.008, "seed": 0, "data": "", "framework": "simclr"}
    point = time_to_accuracy.measure({**job, "threads": torch.get_num_threads()})
    assert point["epochs"] == 2
    assert min(point[judge] for judge in time_to_accuracy.JUDGES) > 1 / 3
    found = {"lines": {line: {"0.008": [point]}}}
    assert len(time_to_accuracy.draw({"wine": found}).axes) == len(time_to_accuracy.JUDGES)
