"""Examples in docstrings and in the documentation do what they say, and there is one for every public name."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import skclr

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "by_example.rst"
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


def test_every_part_by_example():
    assert doctest.testfile(str(PAGE), module_relative=False, optionflags=FLAGS).failed == 0


def test_every_public_name_has_an_example():
    names = re.findall(r"^    (\w+)$", (ROOT / "docs" / "api.rst").read_text(), re.MULTILINE)
    examples = PAGE.read_text() + "".join(line.source for test in TESTS for line in test.examples)
    assert [name for name in names if not re.search(rf"\b{name}\b", examples)] == []
    assert len(names) > 80
