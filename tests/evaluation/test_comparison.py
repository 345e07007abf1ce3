"""`compare`: the table, the verdict, and resuming after an interruption."""

import importlib
import multiprocessing
import os
import signal
import sys
import time
from types import ModuleType

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import FunctionTransformer

from skclr import ContrastiveEmbedder, compare
from skclr.evaluation import corrected_t_test, draw_labels, linear_probe
from skclr.evaluation.candidates import named_baselines
from skclr.evaluation.statistics import Difference
from skclr.evaluation.verdicts import sentence
from skclr.randomness import derive_seeds

# Too few labels to choose C by cross-validation, which takes most of the time.
FAST = {"labels_per_class": (2, 4), "n_draws": 1, "cv": 2}
NAMED = ["raw features", "PCA", "untrained encoder", "supervised network"]
UNTRAINED = {"encoder_params": {"width": 16}, "max_epochs": 0}
TRAINED = {**UNTRAINED, "max_epochs": 2}
TIMES = ("fit_seconds", "rows_per_second")


@pytest.fixture(scope="module")
def noisy(table):
    """60 rows of 5 columns in 3 clusters that overlap, and the clusters."""
    X, y = table
    return X + np.random.default_rng(0).normal(scale=5, size=X.shape), y


@pytest.fixture(scope="module")
def found(noisy):
    return compare(*noisy, ["simclr", "byol"], NAMED, embedder_params=TRAINED, **FAST)


def without_times(comparison):
    return [{key: value for key, value in r.items() if key not in TIMES} for r in comparison.records]


def test_baselines_see_the_first_of_each_pair(noisy):
    X, y = noisy
    settings = {"labels_per_class": (2,), "cv": 2, "embedder_params": UNTRAINED}
    baselines = ["raw features", "untrained encoder"]
    pairs, alone = (compare(P, y, ["simclr"], baselines, **settings) for P in ((X, X + 0.1), X))
    assert without_times(pairs)[:2] == without_times(alone)[:2]


def test_the_table_has_every_row_and_number_of_labels(found):
    frame = found.to_frame()
    names = [*NAMED, "plain features", "simclr, embedding alone", "simclr", "byol, embedding alone", "byol"]
    assert frame["features"].tolist() == [name for name in names for _ in range(2)]
    assert frame["labels_per_class"].tolist() == [2, 4] * 9
    kinds = ["baseline"] * 5 + ["part", "embedder"] * 2
    assert frame["kind"].tolist() == [kind for kind in kinds for _ in range(2)]
    assert frame["mean"].between(frame["low"], frame["high"]).all()
    assert (frame[list(TIMES)] > 0).all(axis=None)
    # The time of each embedder alone; a clock that was started elsewhere would show hours.
    assert (frame["fit_seconds"] < 60).all()
    assert (frame["difference_p_value"].isna() == (frame["kind"] != "embedder")).all()
    assert "4 labels per class" in repr(found)
    assert all(name in repr(found) for name in names)
    assert found.verdict.sentence in repr(found)


def test_differences_are_corrected_t_tests(found):
    scores = {}
    for record in found.records:
        scores.setdefault(record["features"], []).append(record["scores"])
    over_labels = {name: np.mean(rows, axis=0) for name, rows in scores.items()}
    for best, names in (
        (found.verdict.baseline, [*NAMED, "plain features"]),
        (found.verdict.embedder, ["simclr", "byol"]),
    ):
        assert best in names
        assert_allclose(over_labels[best].mean(), max(over_labels[name].mean() for name in names))
    difference = over_labels[found.verdict.embedder] - over_labels[found.verdict.baseline]
    assert_allclose(found.verdict.difference, corrected_t_test(difference, 1.0, n_tests=2), atol=1e-12)
    assert found.verdict.helped == (found.verdict.difference.low > 0)


def test_the_same_seed_gives_the_same_scores_with_any_other_rows(noisy, found):
    rows = ["PCA", "supervised network"]
    with joblib.parallel_config("threading", n_jobs=2):
        again = compare(*noisy, ["byol"], rows, embedder_params=TRAINED, **FAST)
    names = [record["features"] for record in again.records]
    assert set(names) == {*rows, "plain features", "byol, embedding alone", "byol"}
    expected = [record["scores"] for record in found.records if record["features"] in names]
    assert [record["scores"] for record in again.records] == expected
    other = compare(*noisy, ["simclr"], ["PCA"], embedder_params=UNTRAINED, random_state=1, **FAST)
    assert other.records[0]["scores"] != again.records[0]["scores"]


def test_the_score_of_a_fold_is_the_mean_of_its_draws(noisy):
    X, y = noisy
    cv = list(StratifiedKFold(3).split(X, y))
    settings = {"labels_per_class": (2,), "n_draws": 3, "embedder_params": UNTRAINED}
    found = compare(X, y, ["simclr"], {"itself": FunctionTransformer()}, cv=cv, **settings)
    expected = [
        np.mean(
            [
                linear_probe(X[train][rows], y[train][rows], X[test], y[test], standardize=False)
                for rows in draw_labels(y[train], 2, 3, *derive_seeds(1, 0, fold))
            ]
        )
        for fold, (train, test) in enumerate(cv)
    ]
    assert_allclose(found.records[0]["scores"], expected)


def test_numbers_that_no_class_reaches_are_all_labels(noisy):
    X, y = noisy
    settings = {"n_draws": 2, "cv": 2, "embedder_params": UNTRAINED}
    found = compare(X, y, ["simclr"], ["PCA"], labels_per_class=(2, 1_000, "all", 2_000), **settings)
    assert [record["labels_per_class"] for record in found.records if record["features"] == "PCA"] == [2, "all"]
    assert "all labels per class" in repr(found)
    assert "1000" not in repr(found)
    every = compare(X, y, ["simclr"], ["PCA"], labels_per_class=("all",), **settings)
    assert found.records[1]["scores"] == every.records[0]["scores"]


def test_own_embedders_baselines_folds_and_scorers(digits):
    X, y = digits
    embedders = {"mine": ContrastiveEmbedder(max_epochs=1)}
    baselines = {"flat": Flat()}
    cv = StratifiedKFold(2)
    found = compare(X, y, embedders, baselines, cv=cv, labels_per_class=["all"], scoring="f1_macro")
    assert [record["features"] for record in found.records] == ["flat", "mine"]
    expected = []
    for train, test in cv.split(X, y):
        flat = X.reshape(120, -1).astype(float)
        centered = flat - flat[train].mean(0)
        scaled = centered / centered[train].std()
        model = LogisticRegression(max_iter=1000).fit(scaled[train], y[train])
        expected.append(f1_score(y[test], model.predict(scaled[test]), average="macro"))
    assert_allclose(found.records[0]["scores"], expected)


class Flat(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_ = len(X)
        return self

    def transform(self, X):
        return X.reshape(len(X), -1).astype(float)


def test_umap_is_a_baseline_only_where_it_is_named(table, monkeypatch):
    class UMAP(PCA):
        def __init__(self, n_components=2, random_state=None, n_jobs=1):
            super().__init__(n_components, random_state=random_state)
            self.n_jobs = n_jobs

    umap = ModuleType("umap")
    umap.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", umap)
    embedder = ContrastiveEmbedder(max_epochs=0)
    assert list(named_baselines("auto", embedder)) == NAMED
    found = compare(*table, {"mine": embedder}, ["UMAP"], labels_per_class=[2], n_draws=1, cv=2)
    assert found.verdict.baseline == "UMAP"


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Difference(0.02, 0.01, 0.03, 0.01), "Pretraining helped: simclr scores +0.020 against PCA"),
        (Difference(0.02, -0.01, 0.05, 0.2), "Pretraining did not clearly help"),
        (Difference(-0.02, -0.03, -0.01, 0.01), "Pretraining did harm"),
        (Difference(0.02, 0.0, 0.04, 0.05), "Pretraining did not clearly help"),
    ],
)
def test_the_sentence_agrees_with_the_interval(difference, said):
    text = sentence("simclr", "PCA", difference, (5, 10), 5, 9)
    assert text.startswith(said)
    assert f"{difference.low:+.3f} to {difference.high:+.3f}" in text
    assert "among 9 embedders" in text


def test_verbose_says_what_is_done(table, capsys):
    compare(*table, ["simclr"], ["PCA"], embedder_params=UNTRAINED, verbose=1, **FAST)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("fold 1/2  PCA")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baselines": ["PCB"]}, r"'PCB', which is unknown. Pass any of 'raw features'"),
        ({"baselines": []}, r"baselines=\[\]: pass one or more"),
        ({"embedders": []}, r"embedders=\[\]: pass one or more"),
        ({"cv": [(np.arange(30), np.arange(30, 60))]}, r"makes 1 fold"),
        (
            {"embedders": {"a": ContrastiveEmbedder()}, "embedder_params": {"max_epochs": 1}},
            r"Set them on the embedders",
        ),
        ({"y": np.linspace(0, 1, 60)}, r"continuous"),
        ({"y": np.arange(50) % 2}, r"y has 50 values, but X has 60 rows"),
    ],
)
def test_errors(table, change, message):
    arguments = {"X": table[0], "y": table[1], "embedders": ["simclr"], "baselines": ["PCA"], **change}
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


# -- going on ---------------------------------------------------------------------------------------

MODULE = """
import sys
import time
from pathlib import Path
import numpy as np
from sklearn.decomposition import PCA
from skclr import compare

class Slow(PCA):
    def fit(self, X, y=None):
        with Path("log").open("a") as log:
            print(len(X), file=log, flush=True)
        time.sleep(float(Path("pause").read_text()))
        return super().fit(X)

def scores(baseline, memory):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = rng.normal(size=(60, 6)) + y[:, None]
    settings = {"cv": 4, "labels_per_class": [3], "memory": memory, "embedder_params": {"max_epochs": 1}}
    return [record["scores"] for record in compare(X, y, ["simclr"], {"slow": baseline}, **settings).records]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
# A warning about processes forked while threads run.
@pytest.mark.filterwarnings("ignore")
def test_finished_cells_are_not_fitted_again_after_a_kill(tmp_path, monkeypatch):
    log, pause = tmp_path / "log", tmp_path / "pause"
    (tmp_path / "cells_of_a_killed_run.py").write_text(MODULE)
    log.touch()
    pause.write_text("0.5")

    def fits():
        return len(log.read_text().splitlines())

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    killed = importlib.import_module("cells_of_a_killed_run")
    process = multiprocessing.get_context("fork").Process(target=killed.scores, args=(killed.Slow(2), "cache"))
    process.start()
    # The third fit has begun, so that two folds are done.
    deadline = time.monotonic() + 120
    while fits() < 3 and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.02)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert fits() == 3
    pause.write_text("0")
    resumed = killed.scores(killed.Slow(2), "cache")
    assert fits() == 3 + 2
    # Never cut short, and by the class that the slow one derives from.
    assert resumed == killed.scores(PCA(2), None)


def test_embedders_that_read_x_differently_have_their_own_plain_features():
    X = np.random.default_rng(0).integers(0, 3, (40, 3)).astype(float)
    y = (X[:, 0] == 1).astype(int)
    named = {
        name: ContrastiveEmbedder(max_epochs=1, random_state=0, modality_params={"categorical_features": places})
        for name, places in {"numbers": None, "categories": [0, 1, 2], "also numbers": None}.items()
    }
    settings = {"labels_per_class": (5,), "n_draws": 2, "cv": 2}
    rows = {record["features"]: record["scores"] for record in compare(X, y, named, ["PCA"], **settings).records}
    assert [name for name in rows if "plain" in name] == ["plain features", "categories, plain features"]
    alone = compare(X, y, {"categories": named["categories"]}, ["PCA"], **settings)
    expected = {record["features"]: record["scores"] for record in alone.records}["plain features"]
    assert rows["categories, plain features"] == expected
