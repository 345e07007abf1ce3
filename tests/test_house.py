"""The house keeps its measures: scripts/house.py says what they are."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "house.py"

if not SCRIPT.exists():
    pytest.skip("the scripts are not part of a source distribution", allow_module_level=True)
house = runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def measures():
    return house["measure"]()


@pytest.mark.parametrize("measure", house["BOUNDS"])
def test_a_measure_keeps_to_its_bound(measure, measures):
    value, counted = measures[measure]
    assert value <= house["BOUNDS"][measure], counted


def test_an_option_is_found_by_all_ways_to_name_it(tmp_path):
    """Beside what only documents it, or names something else."""
    (tmp_path / "module.py").write_text(
        '"""Of size."""\n'
        "class Settings:\n"
        '    """size : documented."""\n'
        "    size: int\n"
        "    def use(self):\n"
        "        return lambda: self.size\n"
        "def call(settings):\n"
        "    def inner():\n"
        "        return {'size': 1}\n"
        "    return inner\n"
        "TABLE = {'size': 2, 'sizes': 3}\n"
        "other = call(size=4)\n"
        "def none(sizes):\n"
        "    return 'a size'\n"
    )
    found = house["places"]("size", tmp_path)
    assert found == [f"module.py: {name}" for name in ("Settings", "use", "inner", "line 11", "line 12")]


def test_the_documentation_has_the_layers_in_the_order_of_imports():
    root = SCRIPT.parents[1]
    page = (root / "docs" / "architecture.rst").read_text().partition("The layers\n")[2]
    modules = [name for row in re.findall(r"^    \* - (``.*)$", page, re.MULTILINE) for name in re.findall(r"\w+", row)]
    contract = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    names = [name.removeprefix("skclr.") for layer in contract["layers"] for name in layer.split(" | ")]
    assert modules == [name for name in names if name != "_version"]


def test_the_documentation_links_files_that_are_there():
    docs = SCRIPT.parents[1] / "docs"
    links = re.findall(r"<(\.\./skclr/[^>]+)>", (docs / "architecture.rst").read_text())
    assert len(links) > 30
    assert [link for link in links if not (docs / link).exists()] == []
