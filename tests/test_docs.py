"""Examples in docstrings do what they say, and every public name has one."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import skclr
from skclr.command_line import main

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


NAMES = re.findall(r"^    (\w+)$", (ROOT / "docs" / "api.rst").read_text(), re.MULTILINE)


def test_every_public_name_has_an_example():
    shown = {example.name.rpartition(".")[2] for example in TESTS}
    assert [name for name in NAMES if name not in shown] == []
    assert len(NAMES) > 80


def test_no_description_is_shown_as_a_type():
    """If every item of a section has an indented description, docs/conf.py takes what is behind the colon for types."""
    public = [example for example in TESTS if example.name.rpartition(".")[2] in NAMES]
    for example in public:
        sections = re.split(r"^(\w[\w ]*)\n-+\n", inspect.cleandoc(example.docstring), flags=re.MULTILINE)
        for title, body in zip(sections[1::2], sections[2::2], strict=True):
            if title in ("Parameters", "Attributes") and not re.search(r"^\S.*$(?!\n )", body, re.MULTILINE):
                types = re.findall(r"^\S.*? : (.*)$", body, re.MULTILINE)
                assert [kind for kind in types if len(kind) > 85] == [], example.name


@pytest.mark.parametrize("command", ["compare", "fit", "transform", "report"])
def test_the_page_on_the_command_line_lists_every_option(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    offered = set(re.findall(r"^  (?:-h, )?(--\w+)", capsys.readouterr().out, re.MULTILINE))
    page = (ROOT / "docs" / "command_line.rst").read_text()
    shared, own = (
        re.search(rf"^{title}\n-+\n(.*?)^---", page, re.M | re.S)[1] for title in (".*all commands", command)
    )
    shared = shared.partition("except ``transform``")[0] if command == "transform" else shared
    assert set(re.findall(r"^``(--\w+)", shared + own, re.MULTILINE)) == offered
