import base64
import hashlib
import html
import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, make_blobs

import skclr
from skclr import ContrastiveEmbedder, diagnose, evaluation
from skclr.plotting.reporting.map import encode_column
from skclr.plotting.reporting.probes import probe_table
from tests.evaluation.test_diagnosis import noise

from .conftest import N

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
pytest.importorskip("PIL")

HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "a & b", "“c” $x$"]


def data_in(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])


def decoded(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


@pytest.fixture(scope="module")
def blobs():
    """28 rows in 4 clusters, under labels that no page should take for HTML.

    Seven labels per class are too few to choose C by cross-validation, which takes most of the time.
    """
    X, y = make_blobs(28, 6, centers=4, cluster_std=2.0, random_state=0)
    frame = pd.DataFrame(X, columns=["<b>bold</b>", *"abcde"])
    return (
        ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=5, random_state=0).fit(frame),
        frame,
        np.array(HOSTILE)[y],
    )


@pytest.fixture(scope="module")
def page(blobs, tmp_path_factory):
    embedder, X, y = blobs
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert skclr.report(embedder, X, y, path, title="<i>title</i>", metadata={"third": np.arange(28) % 3}) == path
    return path.read_text("utf-8")


def test_the_page_loads_nothing_and_runs_nothing_else(page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="(.*?)"', page)[1])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts]
    assert rules["script-src"].split() == hashes
    rest = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r'(src|href)="(?!data:)|@import|url\(', rest)


def test_labels_and_names_stay_text(page):
    rest = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert "<img src=x" not in rest
    assert "<b>bold" not in rest
    assert "<i>title" not in rest
    names = {column["name"]: column.get("names") for column in data_in(page)["map"]["columns"]}
    assert list(names) == ["label", "third", "<b>bold</b>", *"abcde"]
    assert set(names["label"]) == set(HOSTILE)
    assert names["third"] == ["0", "1", "2"]


def test_the_map_has_what_the_embedder_gives(blobs, page):
    embedder, X, _ = blobs
    data = data_in(page)["map"]
    assert data["n"] == 28
    assert data["rows"] is None
    embedding = embedder.transform(X)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -2)
    rows = decoded(data["neighbors"]["rows"], "<i4").reshape(28, -1)
    found = np.take_along_axis(similarity, rows, 1)
    np.testing.assert_allclose(found, np.sort(similarity, 1)[:, ::-1][:, : rows.shape[1]], atol=1e-6)
    np.testing.assert_allclose(decoded(data["neighbors"]["similarities"], "<f4"), found.ravel(), atol=1e-6)
    points = decoded(data["projections"][0]["points"], "<f4").reshape(28, 2)
    assert np.abs(points).max() == pytest.approx(1)
    numbers = decoded(data["columns"][2]["numbers"], "<f8")
    np.testing.assert_allclose(numbers, X.iloc[:, 0], rtol=1e-4, atol=1e-4)


def test_what_is_written_of_the_training(blobs, page):
    embedder, _, _ = blobs
    chart = next(chart for chart in data_in(page)["charts"] if chart["id"] == "loss")
    np.testing.assert_allclose(chart["lines"][0]["y"], embedder.loss_curve_)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"<script.*?</script>", "", page, flags=re.S)))
    for fact in ("framework SimCLR", "samples 28", "epochs 5", "max_epochs 5", f"skclr {skclr.__version__}"):
        assert fact in text
    rank = evaluation.effective_rank(evaluation.embed(*blobs[:2]))
    assert f"{rank:.1f}" in text


def test_probes_are_those_of_the_evaluation(blobs):
    embedder, X, y = blobs
    table = probe_table(embedder, X, y, random_state=0)
    baselines, parts = (
        ["raw features", "PCA", "untrained encoder", "plain features"],
        ["plain features", "embedding alone"],
    )
    whole = "embedding + plain features"
    assert [row["name"] for row in table["rows"]] == [*baselines, "embedding alone", whole]
    chart = table["charts"][0]
    assert chart["x"] == ["1", "5", "all"]
    for line in chart["lines"]:
        assert np.all(np.array(line["low"]) <= line["y"])
        assert np.all(np.array(line["y"]) <= line["high"])
    # The verdict is about the scores of the table: the difference of two rows.
    means = {row["name"]: float(row["scores"][0].split()[0]) for row in table["rows"]}
    best = max(baselines, key=means.get)
    [points] = re.findall(
        rf"pretraining .*: (.*) points of accuracy against the best baseline, {best} ", table["verdict"]
    )
    assert float(points) == pytest.approx(means[whole] - means[best], abs=0.11)
    assert f"Use {max([*parts, whole], key=means.get)} (mean score " in table["verdict"]


def test_labels_that_cannot_be_probed(blobs):
    embedder, X, _ = blobs
    assert probe_table(embedder, X, np.linspace(0, 1, 28), 0) is None
    assert probe_table(embedder, X, np.full(28, -1), 0) is None
    rare = np.where(np.arange(28) < 3, 1, 0)
    assert probe_table(embedder, X, rare, 0) is None
    some = np.where(np.arange(28) % 2, np.arange(28) // 2 % 2, -1)
    assert "9 labelled rows" in probe_table(embedder, X, some, 0)["about"]


@pytest.mark.parametrize("modality", ["image", "series", "audio", "text"])
def test_every_modality(fitted, modality, tmp_path):
    embedder, X = fitted(modality)
    page = skclr.report(embedder, X, path=tmp_path / "report.html", max_points=20).read_text("utf-8")
    data = data_in(page)["map"]
    assert decoded(data["rows"], "<i4").tolist() == sorted(set(decoded(data["rows"], "<i4")))
    assert f"20 of {N} rows are shown" in page
    assert "Did it help?" not in page
    if modality == "text":
        rows = decoded(data["rows"], "<i4")
        assert data["texts"] == [X[row] for row in rows]
    else:
        assert len(data["tiles"]["sheets"]) == 1


def test_tiles_are_the_images(fitted, tmp_path):
    import io

    from PIL import Image

    embedder, X = fitted("image")
    data = data_in(skclr.report(embedder, X, path=tmp_path / "report.html").read_text("utf-8"))["map"]
    tiles = data["tiles"]
    assert (tiles["height"], tiles["width"]) == X.shape[1:3]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(tiles["sheets"][0].split(",")[1]))))
    for row in (0, 7, N - 1):
        place = row % tiles["per_row"] * tiles["width"], row // tiles["per_row"] * tiles["height"]
        tile = sheet[place[1] : place[1] + tiles["height"], place[0] : place[0] + tiles["width"]]
        np.testing.assert_array_equal(tile, X[row])


def test_columns_are_classes_or_numbers():
    classes = encode_column("c", np.array([10, 9, 10, 100]))
    assert classes["names"] == ["9", "10", "100"]
    assert decoded(classes["codes"], "<i4").tolist() == [1, 0, 1, 2]
    numbers = encode_column("n", np.array([*range(20), np.nan], dtype=object))
    assert np.isnan(decoded(numbers["numbers"], "<f8")[-1])
    assert encode_column("g", np.array(["x", None, np.nan], dtype=object))["names"] == ["x", "–"]


def test_a_report_that_fails_leaves_the_last_one(blobs, tmp_path):
    embedder, X, y = blobs
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(ValueError, match="y has"):
        skclr.report(embedder, X, y[:-1], path)
    with pytest.raises(ValueError, match=r"metadata\['m'\] has"):
        skclr.report(embedder, X, path=path, metadata={"m": [1]})
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_missing_is_named(blobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r'a report needs the package plotly, .* pip install "skclr\[report\]"'):
        skclr.report(blobs[0], blobs[1])


def test_an_untrained_embedder_has_a_report(quick, tmp_path):
    X = load_digits().data[:60]
    embedder = quick(max_epochs=0, modality_params={"image_shape": (8, 8)}).fit(X)
    page = skclr.report(embedder, X, path=tmp_path / "report.html").read_text("utf-8")
    assert "The encoder was not trained." in page


def test_what_is_wrong_is_said(quick, tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 6))
    y = (X[:, 2] > 0).astype(int)
    X = np.column_stack([X, y])
    # Too few labels to choose C by cross-validation.
    y[np.r_[np.flatnonzero(y == 0)[7:], np.flatnonzero(y == 1)[7:]]] = -1
    embedder = quick(views=noise, batch_size=8).fit(X)
    shown = html.unescape(skclr.report(embedder, X, y, tmp_path / "report.html").read_text("utf-8"))
    found = diagnose(embedder, X, y)
    assert {"views destroy the signal", "labels leak", "small batch"} <= {finding.name for finding in found}
    for finding in found:
        assert f"<strong>{finding.name}.</strong> {finding.message}" in shown


@pytest.mark.parametrize("views", ["auto", "paired"])
def test_pairs_have_a_report_of_their_first_side(views, quick, tmp_path):
    sides = np.random.default_rng(0).normal(size=(2, 40, 4))
    X = tuple(sides) if views == "auto" else np.stack(sides, 1)
    # Too few labels to choose C by cross-validation.
    y = np.where(np.arange(40) < 14, np.arange(40) % 2, -1)
    page = skclr.report(quick(views=views).fit(X), X, y, tmp_path / "report.html").read_text("utf-8")
    data = data_in(page)["map"]
    assert data["n"] == 40
    np.testing.assert_allclose(decoded(data["columns"][1]["numbers"], "<f8"), sides[0, :, 0], rtol=1e-3, atol=1e-4)
    assert "Did it help?" in page
