"""A missing optional package is an ImportError that names the extra that installs it."""

import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from skclr import ContrastiveEmbedder, report
from skclr.data.parquet import ParquetRows
from skclr.encoders import SentenceTransformer, Timm
from skclr.evaluation import Comparison
from skclr.modalities import Text
from skclr.plotting.base import pyplot
from skclr.plotting.embedding import project
from skclr.views import neighbors

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# The name under which a package is installed, where it differs from the module's.
DISTRIBUTIONS = {"PIL": "pillow", "sentence_transformers": "sentence-transformers", "umap": "umap-learn"}
POINTS = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)


def embedder():
    return ContrastiveEmbedder(max_epochs=0, random_state=0).fit(POINTS)


# Each optional import: the module, the extra and what needs it.
NEEDS = {
    ("PIL", "report"): lambda: report(embedder(), POINTS, path="never.html"),
    ("PIL", "vision"): lambda: ContrastiveEmbedder(modality="image").fit([ROOT / "pyproject.toml"] * 2),
    ("jinja2", "report"): lambda: report(embedder(), POINTS, path="never.html"),
    ("matplotlib", "plot"): pyplot,
    ("matplotlib", "report"): lambda: report(embedder(), POINTS, path="never.html"),
    ("onnx", "onnx"): lambda: embedder().to_onnx("never.onnx"),
    ("onnxscript", "onnx"): lambda: embedder().to_onnx("never.onnx"),
    ("pandas", "cli"): lambda: Comparison([], None).to_frame(),
    ("plotly", "report"): lambda: report(embedder(), POINTS, path="never.html"),
    ("pyarrow", "cli"): lambda: ParquetRows("never.parquet"),
    ("pynndescent", "tables"): lambda: neighbors.nearest(POINTS, 2, algorithm="pynndescent", exact_rows=4),
    ("sentence_transformers", "pretrained"): lambda: SentenceTransformer((8,), 100, "never"),
    ("timm", "vision"): lambda: Timm((3, 32, 32)),
    ("tokenizers", "text"): lambda: Text(tokenizer=str(ROOT / "pyproject.toml")).read(["a", "b"], None, reset=True),
    ("umap", "umap"): lambda: project(POINTS, "umap", 0),
    ("wordllama", "text"): lambda: Text(tokenizer="wordllama").read(["a", "b"], None, reset=True),
}


def test_every_optional_import_is_held():
    source = "".join(path.read_text() for path in (ROOT / "skclr").rglob("*.py"))
    calls = re.findall(r'(?:import|folder_of)_optional\((?:module|"(\w+)[\w.]*"), "(\w+)"', source)
    assert {extra for _, extra in calls} == {extra for _, extra in NEEDS}
    assert {call for call in calls if call[0]} <= set(NEEDS)


@pytest.mark.parametrize(("module", "extra"), NEEDS)
def test_a_missing_package_names_the_extra_that_installs_it(module, extra, monkeypatch):
    names = {name: None for name in sys.modules if name.split(".")[0] == module} | {module: None}
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("skclr.optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf'needs the package {module}, .* pip install "skclr\[{extra}\]"'):
        NEEDS[module, extra]()
    distributions = [re.split(r"[>=\[]", requirement)[0] for requirement in EXTRAS[extra]]
    assert DISTRIBUTIONS.get(module, module) in distributions
