"""Every code block of README and the pages runs as it is printed, page by page, in a namespace prepared for it."""

import ast
import functools
import inspect
import itertools
import re
import shlex
import shutil
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

import skclr
from skclr import ContrastiveEmbedder
from skclr.command_line import main
from skclr.evaluation import SCORERS, comparison

ROOT = Path(__file__).parents[2]
X, classes = (values[:60] for values in load_breast_cancer(return_X_y=True))
# Too few labels to choose C by cross-validation, which takes most of the time: the other rows are unlabelled.
LABELLED = np.concatenate([np.flatnonzero(classes == c)[:5] for c in (0, 1)])
y = np.full(60, -1)
y[LABELLED] = classes[LABELLED]
IMAGES = load_digits().images[:40].astype(np.uint8)
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.rst"), *ROOT.glob("docs/*.md")])
# A comment before a block says why it cannot run here.
MARKDOWN = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(python|console|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RST = re.compile(
    r"((?:^\.\. skip: .*\n\n)?)^\.\. code-block:: (python|console|bash)\n\n((?:    .*\n|\n(?=\n*    ))+)", re.MULTILINE
)
SKIP = re.compile(r"(?:<!--|\.\.) skip: (.*?)(?: -->)?$", re.MULTILINE)


class Block(NamedTuple):
    """A code block of a page.

    Parameters
    ----------
    language : python, console or bash.
    line : where it begins.
    code : its text, without the page's indentation.
    skip : why it cannot run in a test, or "".
    """

    language: str
    line: int
    code: str
    skip: str


def read_blocks(page):
    text = page.read_text()
    for match in (MARKDOWN if page.suffix == ".md" else RST).finditer(text):
        before, language, code = match.groups()
        reason = SKIP.search(before)
        line = text.count("\n", 0, match.start(2)) + 1
        yield Block(language, line, textwrap.dedent(code), reason[1] if reason else "")


BLOCKS = {page.relative_to(ROOT).as_posix(): list(read_blocks(page)) for page in PAGES}


def test_blocks_that_are_skipped_are_counted():
    skipped = {page: [block.skip for block in blocks if block.skip] for page, blocks in BLOCKS.items()}
    assert {page: len(reasons) for page, reasons in skipped.items() if reasons} == {
        "README.md": 2,
        "docs/installation.rst": 4,
        "docs/scaling.rst": 4,
        "docs/user_guide.rst": 4,
    }, skipped


def test_every_block_is_found():
    text = "".join(page.read_text() for page in PAGES)
    # A text is what a block prints, and a block with a caption a file, which tests/test_adding.py writes.
    begun = re.findall(r"^```\w|^\.\. code-block::(?! text| \w+\n    :caption:)", text, re.MULTILINE)
    assert sum(map(len, BLOCKS.values())) == len(begun) > 20


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files that the pages name: tables, messages, photos, series, and an exported network."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    patients = pd.DataFrame(rng.normal(size=(60, 3)), columns=["age", "weight", "dose"])
    patients = patients.assign(outcome=y)
    patients.to_parquet(folder / "patients.parquet")
    patients.to_csv(folder / "patients.csv", index=False)
    np.save(folder / "recordings.npy", rng.normal(size=(30, 2, 64)))
    np.save(folder / "labels.npy", np.arange(30) % 3 - 1)
    messages = pd.DataFrame({"body": [f"{word} rose {i % 4}" for i, word in enumerate(["a", "no", "some"] * 7)]})
    messages.to_csv(folder / "messages.csv", index=False)
    messages[:9].to_csv(folder / "new_messages.csv", index=False)
    image = pytest.importorskip("PIL.Image")
    for kind, number in itertools.product(["cat", "dog"], range(6)):
        (folder / "photos" / kind).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (80, 70, 3), dtype=np.uint8)
        image.fromarray(pixels).save(folder / "photos" / kind / f"{number}.png")
    if find_spec("onnxruntime"):
        ContrastiveEmbedder(max_epochs=1, random_state=0).fit(X).to_onnx(folder / "model.onnx")
    return folder


@pytest.fixture
def names(files, tmp_path, monkeypatch):
    """The names that the pages take for granted, short trainings, and a folder with small files."""
    plt = pytest.importorskip("matplotlib.pyplot")
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(inspect.unwrap(ContrastiveEmbedder.__init__).__kwdefaults__, "max_epochs", 1)
    for module in (skclr, skclr.evaluation):
        monkeypatch.setattr(module, "compare", small_compare)
    yield {
        "X": X,
        "y": y,
        "X_train": X[:40],
        "y_train": y[:40],
        "X_test": X[40:],
        "y_test": y[40:],
        "many_images": IMAGES[:30],
        "few_other_images": IMAGES[30:],
        "embedder": ContrastiveEmbedder(random_state=0).fit(X),
        "pipe": Pipeline([("embed", ContrastiveEmbedder()), ("clf", LogisticRegression(max_iter=1000))]),
        # Two folds in place of five, and a candidate that fails is a failure.
        "GridSearchCV": functools.partial(GridSearchCV, cv=2, error_score="raise"),
        "SCORERS": SCORERS,
        "skclr": skclr,
        "compare": small_compare,
        "ContrastiveEmbedder": ContrastiveEmbedder,
    }
    plt.close("all")


def small_compare(X, y, embedders=None, baselines=None, **params):
    """Compare as asked, with one embedder, one baseline, two folds and one draw of labels."""
    return comparison.compare(X, y, ["simclr"], ["PCA"], **{**params, "cv": 2, "n_draws": 1})


def run_python(code, names, monkeypatch):
    def show(value):
        """Show a value as a notebook does, and fit the searches that a page only writes down."""
        repr(value)
        if isinstance(value, BaseSearchCV) and not hasattr(value, "cv_results_"):
            value.fit(names["X_train"], names["y_train"])

    if "onnxruntime" in code:
        names["onnxruntime"] = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(sys, "displayhook", show)
    exec(compile(ast.Interactive(ast.parse(code).body), "<block>", "single"), names)


def run_console(code, capsys):
    for line in code.replace("\\\n", " ").splitlines():
        python, *arguments = shlex.split(line)
        assert (python, *arguments[:2]) == ("python", "-m", "skclr")
        assert main(arguments[2:]) == 0, (line, capsys.readouterr().err)


RUNNING = [(page, block) for page, blocks in BLOCKS.items() for block in blocks if not block.skip]


@pytest.mark.parametrize(("page", "block"), RUNNING, ids=[f"{page}:{block.line}" for page, block in RUNNING])
def test_a_block_runs_as_it_is_printed(page, block, names, monkeypatch, capsys):
    # Workers would import everything again.
    with parallel_config("threading"):
        if block.language == "python":
            run_python(block.code, names, monkeypatch)
        else:
            run_console(block.code, capsys)
