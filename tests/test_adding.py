"""Following docs/adding.rst to the letter adds what it says, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adding.rst"
BLOCK = re.compile(
    r"^\.\. code-block:: (python|diff)\n    :caption: (\S+)\n\n((?:    .*\n|\n(?=\n*    ))+)", re.MULTILINE
)
# Tests over the registries, of which those that name what was added are run.
CONTRACTS = [
    "test_contracts.py",
    "losses/test_pairwise.py",
    "seams/test_plan.py",
    "seams/test_parts.py",
    "seams/test_held_out.py",
    "plotting/test_displays.py::test_every_modality_has_a_drawing",
    "test_exports.py::test_registries_hold_exported_classes",
]
NAMES = "decorrelation or multi_similarity or periodic or cutmix or drawing or exported"

if not PAGE.exists():
    pytest.skip("the documentation is not part of a source distribution", allow_module_level=True)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a folder with a copy of the package, changed as the page says."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "skclr", folder / "skclr", ignore=shutil.ignore_patterns("__pycache__"))
    for language, name, code in BLOCK.findall(PAGE.read_text()):
        path, text = folder / name, textwrap.dedent(code)
        assert path.exists() == (language == "diff"), name
        path.write_text(text if language == "python" else with_lines(path.read_text(), text))
    return folder


def with_lines(text, diff):
    """Return a text with the lines that a diff adds, each run of them below the line that the diff shows above it."""
    lines = text.splitlines()
    for shown in diff.splitlines():
        mark, line = shown[0], shown[1:]
        if mark == " ":
            assert lines.count(line) == 1, line
            place = lines.index(line)
        else:
            assert mark == "+"
            place += 1
            lines.insert(place, line)
    return "\n".join(lines) + "\n"


def run(folder, *arguments):
    """Run Python where the copy is the package that is imported."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_file_is_found():
    assert len(BLOCK.findall(PAGE.read_text())) == PAGE.read_text().count(":caption:") == 15


def test_what_the_page_adds_keeps_the_contracts(copy):
    tests = [str(ROOT / "tests" / name) for name in (*CONTRACTS, "added.py")]
    options = ["--import-mode=append", "-p", "no:cacheprovider", "-q", "-x", f"--rootdir={ROOT}"]
    names = f"{NAMES} or added"
    report = run(copy, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *options, "-k", names, *tests)
    n_passed = int(re.search(r"(\d+) passed", report)[1])
    assert n_passed > 80
