import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import train_test_split

from skclr.evaluation import linear_probe
from skclr.modalities import MODALITIES
from skclr.plotting import (
    DRAWINGS,
    PROJECTIONS,
    EmbeddingDisplay,
    LabelEfficiencyDisplay,
    LossCurveDisplay,
    NeighborsDisplay,
    SimilarityDisplay,
    ViewsDisplay,
)
from skclr.plotting.neighbors import most_similar

from .conftest import N

RNG = np.random.default_rng(1)


def drawn(display):
    """Render, which is where matplotlib finds what it cannot draw."""
    display.figure_.canvas.draw()
    return display


def test_every_modality_has_a_drawing():
    assert DRAWINGS.keys() == MODALITIES.keys()


@pytest.mark.parametrize("modality", MODALITIES)
class TestEveryModality:
    def test_views(self, fitted, modality):
        embedder, X = fitted(modality)
        display = drawn(ViewsDisplay.from_estimator(embedder, X, n_samples=3))
        shape = (3, 3) if display.originals[0].wide else (1 + len(display.views), 3)
        assert display.axes_.shape == shape
        assert all(small.has_data() or small.texts for small in display.axes_.flat)

    def test_neighbors(self, fitted, modality):
        embedder, X = fitted(modality)
        y = np.arange(N)
        display = drawn(NeighborsDisplay.from_estimator(embedder, X, y, queries=[4, 2], n_neighbors=3))
        assert display.rows[:, 0].tolist() == [4, 2]
        np.testing.assert_array_equal(display.labels, display.rows)
        similarity = cosine_similarity(embedder.transform(X))
        for query, *found in display.rows:
            others = np.delete(similarity[query], query)
            np.testing.assert_allclose(similarity[query, found], np.sort(others)[::-1][:3], atol=1e-6)

    def test_similarity(self, fitted, modality):
        embedder, X = fitted(modality)
        display = drawn(SimilarityDisplay.from_estimator(embedder, X))
        assert display.positives.shape == (N,)
        assert display.negatives.shape == (N * (N - 1),)


def test_views_mark_what_has_changed(fitted):
    embedder, X = fitted("tabular")
    display = ViewsDisplay.from_estimator(embedder, X, rows=[5])
    original, view = display.originals[0], display.views[-1][0]
    assert original.names == list(X.columns)
    np.testing.assert_allclose([float(text) for text in original.texts[:9]], X.iloc[5, :9].astype(float), rtol=1e-4)
    bold = [text.get_text() for text in display.axes_[0, -1].texts if text.get_weight() == "bold"]
    changed = [text for text, before in zip(view.texts, original.texts, strict=True) if text != before]
    assert bold == changed[: len(bold)]
    assert bold


def test_views_are_those_of_the_embedder(fitted):
    embedder, X = fitted("image")
    display = ViewsDisplay.from_estimator(embedder, X, rows=np.arange(N), random_state=3)
    views = embedder.make_views(X, random_state=3)
    for drawings, view in zip(display.views, views, strict=True):
        shown = np.stack([drawing.pixels for drawing in drawings])
        np.testing.assert_allclose(shown, np.moveaxis(view, 1, -1).clip(0, 1), atol=1e-6)


def test_similarities_are_cosines_of_all_pairs():
    first, second = RNG.normal(size=(2, 30, 5))
    display = drawn(SimilarityDisplay.from_embeddings(first, second))
    similarity = cosine_similarity(first, second)
    np.testing.assert_allclose(display.positives, np.diag(similarity))
    assert np.sort(display.negatives) == pytest.approx(np.sort(similarity[~np.eye(30, dtype=bool)]))
    truth = np.repeat([1, 0], [30, 870])
    assert display.auc == pytest.approx(roc_auc_score(truth, np.r_[display.positives, display.negatives]))


def test_similarity_of_a_collapse_is_chance():
    collapsed = np.ones((20, 3))
    assert drawn(SimilarityDisplay.from_embeddings(collapsed, collapsed)).auc == pytest.approx(0.5)


def test_most_similar_never_returns_a_row_itself():
    rows, similarities = most_similar(np.repeat(RNG.normal(size=(4, 3)), 3, axis=0), 2)
    assert rows.shape == (12, 2)
    assert not (rows == np.arange(12)[:, None]).any()
    np.testing.assert_array_equal(rows // 3, np.repeat(np.arange(4), 3)[:, None].repeat(2, 1))
    np.testing.assert_allclose(similarities, 1)


def test_no_more_rows_are_similar_than_there_are_others():
    rows, similarities = most_similar(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), 10)
    np.testing.assert_array_equal(rows, [[1, 2], [0, 2], [1, 0]])
    assert similarities.shape == rows.shape


def test_loss_curve(fitted, quick):
    embedder, X = fitted("image")
    display = drawn(LossCurveDisplay.from_estimator(embedder))
    np.testing.assert_allclose(display.lines_[0].get_ydata(), embedder.loss_curve_)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2])
    held = quick(validation_fraction=0.5).fit(X)
    display = drawn(LossCurveDisplay.from_estimator(held, ax=display.ax_, name="held out"))
    assert [text.get_text() for text in display.ax_.get_legend().texts][1:] == [
        "held out, training",
        "held out, validation",
    ]
    np.testing.assert_allclose(display.lines_[1].get_ydata(), held.history_[:, "valid_loss"])
    with pytest.raises(ValueError, match="max_epochs=0"):
        LossCurveDisplay.from_estimator(quick(max_epochs=0).fit(X))


def test_embedding_is_a_pca(fitted):
    embedder, X = fitted("series")
    display = drawn(EmbeddingDisplay.from_estimator(embedder, X))
    np.testing.assert_allclose(display.points, PCA(2).fit_transform(embedder.transform(X)), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(display.scatters_[0].get_offsets(), display.points)


@pytest.mark.parametrize("method", sorted(PROJECTIONS.keys() - {"umap"}))
def test_maps_keep_clusters_apart(method):
    centers = 20 * np.eye(3, 10)
    embedding = np.concatenate([center + RNG.normal(size=(20, 10)) for center in centers])
    points = EmbeddingDisplay.from_embedding(embedding, np.repeat([0, 1, 2], 20), method=method).points
    rows, _ = most_similar(points - points.mean(0), 1)
    assert (rows[:, 0] // 20 == np.repeat([0, 1, 2], 20)).mean() > 0.9


def test_umap_is_that_of_its_package(monkeypatch):
    class UMAP:
        def __init__(self, **params):
            self.params = params

        def fit_transform(self, embedding):
            return np.full((len(embedding), 2), self.params["random_state"])

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    assert (EmbeddingDisplay.from_embedding(np.eye(5), method="umap", random_state=7).points == 7).all()
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"method='umap', unlike 'tsne', needs the package umap"):
        EmbeddingDisplay.from_embedding(np.eye(5), method="umap")


def test_classes_are_coloured_by_name_and_numbers_by_scale():
    points = RNG.normal(size=(60, 2))
    display = drawn(EmbeddingDisplay(points, np.repeat(["b", "a", "10", "9"], 15)).plot())
    assert [text.get_text() for text in display.ax_.get_legend().texts] == ["9", "10", "a", "b"]
    np.testing.assert_array_equal(display.scatters_[2].get_offsets(), points[15:30])
    many = drawn(EmbeddingDisplay(points, np.arange(60) // 4).plot())
    assert many.ax_.get_legend().texts[-1].get_text() == "5 others"
    scale = drawn(EmbeddingDisplay(points, points[:, 0]).plot())
    np.testing.assert_array_equal(scale.scatters_[0].get_array(), points[:, 0])


def test_axes_of_the_user_are_used(fitted):
    embedder, X = fitted("image")
    figure, axes = plt.subplots(2, 2)
    displays = [
        LossCurveDisplay.from_estimator(embedder, ax=axes[0, 0]),
        EmbeddingDisplay.from_estimator(embedder, X, ax=axes[0, 1]),
        ViewsDisplay.from_estimator(embedder, X, ax=axes[1, 0]),
        NeighborsDisplay.from_estimator(embedder, X, ax=axes[1, 1]),
    ]
    for display, ax in zip(displays, axes.flat, strict=True):
        assert drawn(display).figure_ is figure
        assert display.ax_ is ax
    place = axes[1, 1].get_position()
    small = displays[-1].axes_[0, 0].get_position()
    assert place.x0 - 1e-9 <= small.x0
    assert small.x1 <= place.x1 + 1e-9


def test_pairs_show_both_sides(quick):
    X = RNG.normal(size=(N, 4)), RNG.normal(size=(N, 4))
    display = drawn(ViewsDisplay.from_estimator(quick(views_params={"on_top": None}).fit(X), X, rows=[3]))
    for drawing, side in zip([display.originals[0], display.views[1][0]], X, strict=True):
        np.testing.assert_allclose([float(text) for text in drawing.texts], side[3], rtol=1e-3, atol=1e-4)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skclr\[plot\]"'):
        LossCurveDisplay([1.0]).plot()


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"method='pcoa' is unknown\. Pass one of 'pca', 'tsne', 'umap'"):
        EmbeddingDisplay.from_embedding(np.eye(3), method="pcoa")


def test_displays_of_embeddings_reject_sparse_features():
    z = csr_matrix(np.eye(5))
    for draw in (lambda: EmbeddingDisplay.from_embedding(z), lambda: SimilarityDisplay.from_embeddings(z, z)):
        with pytest.raises(TypeError, match=r"z is a csr_matrix\. Pass dense embeddings"):
            draw()


def test_label_efficiency_is_that_of_the_evaluation(fitted, digits, quick):
    X, y = digits
    embedder = quick().fit(X)
    display = drawn(
        LabelEfficiencyDisplay.from_estimator(embedder, X, y, labels_per_class=(1, "all"), n_draws=3, random_state=1)
    )
    train, test = train_test_split(np.arange(120), test_size=0.3, stratify=y, random_state=1)
    pairs = embedder.transform(X[train]), y[train], embedder.transform(X[test]), y[test]
    assert display.lines_["embedding"].get_ydata()[1] == linear_probe(*pairs)
    assert list(display.lines_) == ["raw features", "PCA", "untrained encoder", "embedding"]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["1", "all"]
    for record in display.records:
        line = display.lines_[record["features"]].get_ydata()
        assert record["mean"] in line
