"""What a package says it exports is what it has."""

import importlib
import subprocess
import sys

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


def test_what_importing_leaves_for_later():
    heavy = ["matplotlib", "plotly", "PIL", "onnx", "timm", "tokenizers", "skclr.plotting", "skclr.evaluation"]
    heavy += ["sklearn.linear_model", "sklearn.neighbors"]
    code = f"import sys, skclr; print([name for name in {heavy} if name in sys.modules]); skclr.compare, skclr.plotting"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    assert version("skclr") == skclr.__version__
