"""Examples in docstrings do what they say, and every public name has one."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import skclr

ROOT = Path(__file__).parents[1]
MODULES = [module.name for module in pkgutil.walk_packages(skclr.__path__, "skclr.") if module.name != "skclr.__main__"]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
TESTS = [
    example
    for module in MODULES
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module))
    if example.examples
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run where files may be written, and close the pictures."""
    monkeypatch.chdir(tmp_path)
    plt = pytest.importorskip("matplotlib.pyplot")
    yield
    plt.close("all")


@pytest.mark.parametrize("example", TESTS, ids=lambda example: example.name)
def test_docstrings(example):
    if "onnx" in example.docstring:
        pytest.importorskip("onnxruntime")
    assert doctest.DocTestRunner(optionflags=FLAGS).run(example).failed == 0


def test_every_public_name_has_an_example():
    names = re.findall(r"^    (\w+)$", (ROOT / "docs" / "api.rst").read_text(), re.MULTILINE)
    shown = {example.name.rpartition(".")[2] for example in TESTS}
    assert [name for name in names if name not in shown] == []
    assert len(names) > 80
