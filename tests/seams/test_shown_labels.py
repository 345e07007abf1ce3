"""What shows labels or looks for faults in them: displays, the report and diagnose."""

import base64
import json
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from numpy.testing import assert_array_equal
from sklearn.datasets import make_blobs

from skclr import ContrastiveEmbedder, diagnose
from skclr.plotting import EmbeddingDisplay, LabelEfficiencyDisplay, NeighborsDisplay, report
from skclr.wording import counted
from tests.seams.test_labels import CONTAINERS, NAMES, STRINGS

X, TRUTH = make_blobs(60, 5, centers=3, random_state=0)
# Seven labels per class are too few to choose C by cross-validation, which takes most of the time.
LABELLED = np.concatenate([np.flatnonzero(c == TRUTH)[:7] for c in range(3)])
PARTLY = np.full(60, -1)
PARTLY[LABELLED] = TRUTH[LABELLED]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@cache
def embedder():
    return ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=2, random_state=0).fit(X)


def page_of(tmp_path, y, **settings):
    text = report(embedder(), X, y, tmp_path / "page.html", **settings).read_text("utf-8")
    data = json.loads(re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[1])
    return text, data


def legend(y):
    display = EmbeddingDisplay.from_estimator(embedder(), X, y)
    return {
        text.get_text(): len(dots.get_offsets())
        for text, dots in zip(display.ax_.get_legend().get_texts(), display.scatters_, strict=True)
    }


def titles(y):
    display = NeighborsDisplay.from_estimator(embedder(), X, y, n_queries=8, n_neighbors=1)
    return [small.get_title() for small in display.axes_.ravel()]


def curve(y):
    return LabelEfficiencyDisplay.from_estimator(embedder(), X, y, labels_per_class=(2, "all"), n_draws=2).records


SHOWN = {
    "EmbeddingDisplay": legend,
    "NeighborsDisplay": titles,
    "LabelEfficiencyDisplay": curve,
    "diagnose": lambda y: diagnose(embedder(), X, y),
}
REFERENCES = {False: PARTLY, True: np.where(PARTLY < 0, None, NAMES[PARTLY])}


@cache
def expected(verb, named):
    return str(SHOWN[verb](REFERENCES[named]))


# They read labels as the others do.
SLOW = ("LabelEfficiencyDisplay", "diagnose")
FEW = ("shuffled Series", "list with -1", "strings with '-1'", "polars")


@pytest.mark.parametrize(
    ("verb", "container"),
    [
        (verb, container)
        for verb in SHOWN
        for container in ["list", "list with None", "tensor", "categorical", *FEW]
        if verb not in SLOW or container in FEW
    ],
)
def test_every_container_is_shown_alike(verb, container):
    y = CONTAINERS[container](PARTLY)
    assert str(SHOWN[verb](y)) == expected(verb, container in STRINGS)


@pytest.mark.parametrize("verb", [*SHOWN, "report"])
def test_minus_one_and_one_class_are_refused(verb, tmp_path):
    show = SHOWN.get(verb, lambda y: page_of(tmp_path, y))
    with pytest.raises(ValueError, match=r"y contains -1 \(unlabelled\) and one class. Recode two classes as 0 and 1"):
        show(np.where(TRUTH == 0, -1, 1))


@pytest.mark.parametrize("verb", [*SHOWN, "report"])
def test_a_path_where_labels_belong(verb, tmp_path):
    show = SHOWN.get(verb, lambda y: page_of(tmp_path, y))
    with pytest.raises(TypeError, match=r"y is a str\. Pass an array|y='r.html' is a path.*path='r.html'"):
        show("r.html")


# -- unlabelled rows ------------------------------------------------------------------------------


def test_unlabelled_rows_are_not_a_class_of_a_map():
    assert legend(PARTLY) == {**{str(c): int(np.sum(c == PARTLY)) for c in range(3)}, "unlabelled": 39}
    # Ten classes have colours: the unlabelled rows take none of them.
    many = np.r_[np.full(30, -1), np.arange(30) % 10]
    assert list(legend(many)) == [*map(str, range(10)), "unlabelled"]


def test_a_scale_keeps_its_negative_numbers():
    y = np.linspace(-1, 1, 60)
    display = EmbeddingDisplay.from_estimator(embedder(), X, pd.Series(y, index=range(60, 0, -1)))
    assert_array_equal(display.scatters_[0].get_array(), y)
    # Whole numbers are classes, whatever the dtype that missing values give them.
    whole = np.where(np.arange(60) < 3, np.nan, np.arange(60) % 12)
    assert list(legend(whole))[-1] == "unlabelled"


def test_the_report_s_map_and_facts_leave_unlabelled_rows_out(tmp_path):
    names = np.array([-1 if c < 0 else NAMES[c] for c in PARTLY], dtype=object)
    text, data = page_of(tmp_path, names)
    [column] = [column for column in data["map"]["columns"] if column["name"] == "label"]
    codes = np.frombuffer(base64.b64decode(column["codes"]), "<i4")
    assert column["names"] == [*NAMES, "unlabelled"]
    assert column["unlabelled"] == "unlabelled"
    assert_array_equal(codes, np.where(PARTLY < 0, 3, PARTLY))
    assert "3 classes: cat, dog, owl, and 39 unlabelled rows" in text
    _, other = page_of(tmp_path, pd.Series(names, index=np.arange(60)[::-1]))
    assert other["map"] == data["map"]
    assert other["charts"] == data["charts"]


@pytest.mark.parametrize("y", [PARTLY, [None if c < 0 else NAMES[c] for c in PARTLY]], ids=["numbers", "strings"])
def test_diagnose_looks_at_labelled_rows_alone(y):
    """A column computed from the labels reveals them all, whatever it contains in unlabelled rows."""
    leaking = np.column_stack([np.random.default_rng(0).normal(size=(60, 3)), np.where(PARTLY < 0, 1.5, PARTLY)])
    found = diagnose(
        ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(leaking), leaking, y
    )
    assert "labels leak" in [finding.name for finding in found]


# -- diagnose -------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_epochs", [0, 1])
def test_an_encoder_that_is_hardly_trained_does_not_blame_the_views(max_epochs):
    fitted = ContrastiveEmbedder(
        encoder_params={"width": 16}, max_epochs=max_epochs, views=torch.randn_like, random_state=0
    ).fit(X)
    assert "views destroy the signal" not in [finding.name for finding in diagnose(fitted, X)]
    trained = ContrastiveEmbedder(
        encoder_params={"width": 16}, max_epochs=2, views=torch.randn_like, random_state=0
    ).fit(X)
    assert "views destroy the signal" in [finding.name for finding in diagnose(trained, X)]


def test_no_better_has_a_margin_for_noise():
    """The embedding of noise is as good as noise: better or worse by chance, which is not a finding."""
    rng = np.random.default_rng(0)
    found = [
        "no better than baselines" in [finding.name for finding in diagnose(fitted, Z, rng.integers(0, 2, 80))]
        for seed in range(4)
        for Z in [rng.normal(size=(80, 4))]
        for fitted in [
            ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=2, passthrough=False, random_state=seed).fit(Z)
        ]
    ]
    assert sum(found) <= 1


@pytest.mark.parametrize("frame", [False, True])
def test_constant_columns_are_named(frame):
    table = np.column_stack([X, np.full(60, 7.0)])
    table = pd.DataFrame(table, columns=list("abcdef")) if frame else table
    found = dict(
        diagnose(ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(table), table)
    )
    assert found["constant columns"].startswith("Column 'f' has" if frame else "Column 5 has")


def test_a_compiled_network_keeps_its_name(tmp_path, quick):
    fitted = quick("barlow_twins", max_epochs=1).fit(X)
    fitted.net_.module_ = torch.compile(fitted.net_.module_, backend="eager")
    text = report(fitted, X, path=tmp_path / "page.html").read_text("utf-8")
    assert "BarlowTwins on tabular data" in text
    assert "OptimizedModule" not in text + fitted._repr_html_()
    with pytest.raises(ValueError, match="BarlowTwins takes exactly 2"):
        fitted.net_._check_views([torch.zeros(2, 5)] * 3)


# -- words ----------------------------------------------------------------------------------------


def test_one_of_a_thing_is_singular(tmp_path):
    assert [counted(n, "class", "classes") for n in (0, 1, 2)] == ["0 classes", "1 class", "2 classes"]
    once = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X)
    text = report(once, X, path=tmp_path / "page.html").read_text("utf-8")
    assert "60 samples · 160 features · 1 epoch · trained without labels" in text
    assert "1 epoch, loss" in once._repr_html_()
    labelled = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, positives="labels", random_state=0).fit(
        X, TRUTH
    )
    text = report(labelled, X, PARTLY, tmp_path / "page.html").read_text("utf-8")
    assert "1 epoch · trained with labels · labels shown" in text
