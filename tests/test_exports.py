"""What a package says it exports is what it has."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skclr

PACKAGES = [
    "",
    ".encoders",
    ".evaluation",
    ".frameworks",
    ".losses",
    ".modalities",
    ".plotting",
    ".training",
    ".views",
]

DOCS = Path(__file__).parents[1] / "docs"
needs_docs = pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not part of a source distribution")


@pytest.mark.parametrize("name", PACKAGES)
def test_all_names_exist_and_are_sorted(name):
    package = importlib.import_module(f"skclr{name}")
    assert sorted(package.__all__) == sorted(set(package.__all__))
    for exported in package.__all__:
        assert hasattr(package, exported)


@pytest.mark.parametrize(
    ("package", "registry", "base"),
    [
        ("encoders", "ENCODERS", "Encoder"),
        ("frameworks", "FRAMEWORKS", "Framework"),
        ("losses", "LOSSES", "PairwiseLoss"),
        ("modalities", "MODALITIES", "Modality"),
        ("views", "VIEWS", "Views"),
    ],
)
def test_registries_hold_exported_classes(package, registry, base):
    module = importlib.import_module(f"skclr.{package}")
    for name, part in getattr(module, registry).items():
        assert name == name.lower()
        assert issubclass(part, getattr(module, base))
        assert part.__name__ in module.__all__


def without_files(text):
    """Return a page without its blocks that are files of the package, which import each other."""
    return re.sub(r"^\.\. code-block:: \w+\n    :caption: .*\n(\n|    .*\n)*", "", text, flags=re.MULTILINE)


def public_names():
    """Return the module and the name of what users may import: the rule is in CONTRIBUTING.md."""
    names, module = set(), None
    for page in (DOCS / "api.rst", DOCS / "adding.rst"):
        for line in without_files(page.read_text()).splitlines():
            if found := re.match(r"\.\. currentmodule:: (\S+)", line):
                module = found[1]
            elif found := re.match(r"    (\w+)$|\.\. autoclass:: (\w+)$", line):
                names.add((module, found[1] or found[2]))
            names |= set(re.findall(r"``(skclr\.\w+)\.([A-Z]+)``", line))
    return names


@needs_docs
def test_public_names_are_exported_where_the_documentation_says():
    for module, name in public_names():
        assert name in importlib.import_module(module).__all__
    assert {name for module, name in public_names() if module == "skclr"} == set(skclr.__all__)


@needs_docs
def test_documentation_and_examples_import_public_names_alone():
    pages = [DOCS.parent / "README.md", *DOCS.glob("*.rst"), *(DOCS.parent / "examples").rglob("*.py")]
    texts = [without_files(page.read_text()) for page in pages]
    imports = [pair for text in texts for pair in re.findall(r"from (skclr[\w.]*) import (\([^)]+|[^\n]+)", text)]
    imported = {(module, name) for module, names in imports for name in re.findall(r"\w+", names)}
    assert len(imported) > 10
    assert imported - public_names() == set()


def test_what_importing_leaves_for_later():
    heavy = ["matplotlib", "plotly", "PIL", "onnx", "timm", "tokenizers", "skclr.plotting", "skclr.evaluation"]
    heavy += ["sklearn.linear_model", "sklearn.neighbors", "torch._dynamo"]
    found = f"print([name for name in {heavy} if name in sys.modules])"
    code = f"import sys, skclr; skclr.ContrastiveEmbedder; {found}; skclr.compare, skclr.plotting"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    assert version("skclr") == skclr.__version__


def test_every_name_that_dir_lists_exists():
    assert [name for name in dir(skclr) if not name.isidentifier() or not hasattr(skclr, name)] == []
