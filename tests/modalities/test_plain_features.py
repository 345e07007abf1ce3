"""A network on plain features: every modality, and every verb."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import issparse

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, diagnose
from skclr.balance import n_columns_for, share_of_weight
from skclr.encoders import OnFeatures
from skclr.evaluation import embed
from skclr.modalities import PlainFeatures, Series
from skclr.model import Model
from skclr.plotting import NeighborsDisplay, ViewsDisplay
from skclr.plotting.samples import draw_samples, draw_views

rng = np.random.default_rng(0)
WORDS = np.array(["red", "green", "blue", "round", "square", "big", "small", "old", "new"])
DATA = {
    "tabular": rng.normal(size=(40, 6)),
    "series": rng.normal(size=(40, 2, 30)).cumsum(2),
    "ragged": [rng.normal(size=(1, length)).cumsum(1) for length in rng.integers(5, 40, size=40)],
    "image": rng.integers(0, 256, size=(40, 8, 8, 3), dtype=np.uint8),
    "audio": rng.normal(size=(40, 800)).astype(np.float32),
    "text": [" ".join(rng.choice(WORDS, size=6)) for _ in range(40)],
}
PARAMS = {"audio": {"modality_params": {"sampling_rate": 1_000, "n_mels": 4}}, "ragged": {"modality": "series"}}


# Modalities whose plain features have one variance.
EVEN = ("tabular", "series", "ragged")


def shown(embedder, X):
    """Return the features of X as a dense array."""
    features = embedder.transform(X)
    return features.toarray() if issparse(features) else features


def embedder(kind, **params):
    return ContrastiveEmbedder(
        **{"encoder": "on_features", "max_epochs": 1, "random_state": 0, **PARAMS.get(kind, {}), **params}
    )


def embedder_of_samples(kind):
    encoders = {"series": "tcn", "ragged": "tcn"}
    return embedder(kind, encoder=encoders.get(kind, "auto"), max_epochs=0)


@pytest.fixture(scope="module")
def fitted():
    return {kind: embedder(kind).fit(X) for kind, X in DATA.items()}


def some(X, rows):
    return [X[i] for i in rows] if isinstance(X, list) else X[rows]


@pytest.mark.parametrize("kind", DATA)
def test_the_network_sees_components_and_transform_shows_both(kind, fitted):
    model = fitted[kind].model_
    assert isinstance(model.modality, PlainFeatures)
    assert fitted[kind].modality_ == ("series" if kind == "ragged" else kind)
    features = shown(fitted[kind], DATA[kind])
    plain = model.features(model.read(DATA[kind]))
    plain = plain.toarray() if issparse(plain) else plain
    source = model.modality.source
    assert_allclose(features[:, -plain.shape[1] :], plain, atol=1e-4)
    assert plain.shape[1] == source.n_features() == model.n_plain
    assert model.encoder.network.stem.in_features == model.modality.axes_.shape[1] <= source.components_of_features


@pytest.mark.parametrize("kind", DATA)
def test_columns_of_the_embedding_have_one_variance(kind, fitted):
    # With labels, the embedding has its full weight.
    embedder = copy.deepcopy(fitted[kind]).set_params(positives="labels").fit(DATA[kind], np.arange(40) % 2)
    features, width = shown(embedder, DATA[kind]), embedder.model_.n_learned
    variances = features[:, :width].var(0)
    assert_allclose(variances, variances.mean(), rtol=1e-2)
    assert_allclose(variances.sum(), 0.25 * features[:, width:].var(0).sum(), rtol=0.05)
    if kind in EVEN:
        # A StandardScaler after it changes nothing.
        assert_allclose(features.var(0), variances.mean(), rtol=1e-2)


@pytest.mark.parametrize("kind", EVEN)
def test_rows_that_teach_too_little_leave_the_embedding_out_and_it_is_said(kind, fitted, capsys):
    X, model = DATA[kind], fitted[kind].model_
    assert model.n_learned == 0
    assert_array_equal(fitted[kind].transform(X), model.features(model.read(X)))
    assert fitted[kind].transform(X).shape[1] == len(fitted[kind].get_feature_names_out())
    # The network is there for everything that looks at the embedding alone.
    assert embed(fitted[kind], X).shape == (40, 128)
    found = dict(diagnose(fitted[kind], X, np.arange(40) % 2))
    assert found["too little learned"].startswith("The network learned too little from the 40 rows")
    assert "no better than baselines" not in found
    embedder(kind, verbose=1).fit(X)
    assert "too little from the 40 rows" in capsys.readouterr().err


def test_an_embedding_has_the_columns_that_its_score_reports(monkeypatch):
    X = np.sin(np.arange(30) * rng.uniform(0.1, 0.9, size=(150, 1, 1))) + 0.1 * rng.normal(size=(150, 1, 30))
    model = embedder("series", max_epochs=20).fit(X).model_
    assert model.n_learned == 128
    for share, n_columns in ((0.6, 64), (0.2, 16), (0.1, 0)):
        monkeypatch.setattr(Model, "share_of_weight", lambda self, samples, share=share: share)
        found = embedder("series").fit(X)
        assert found.model_.n_learned == n_columns
        assert found.transform(X).shape == (150, n_columns + 512) == (150, found.model_.n_features_out)


def test_an_encoder_that_learned_nothing_or_from_labels_and_a_stream_keep_their_columns():
    X, y = DATA["series"], np.arange(40) % 2
    for found in (
        embedder("series", max_epochs=0).fit(X),
        embedder("series", positives="labels").fit(X, y),
        embedder("series").partial_fit(X),
    ):
        assert found.model_.n_learned == 128


@pytest.mark.parametrize("score", [-1.0, 0.0, 0.2, 0.25, 0.3, 1.0])
def test_the_weight_grows_with_the_score(score):
    assert share_of_weight(score * np.log(50), 50) == pytest.approx(min(1.0, max(0.0, 10 * score - 2)))
    assert [n_columns_for(weight, 512) for weight in (0.0, 0.03, 0.25, 0.4, 0.5)] == [0, 0, 128, 128, 256]


@pytest.mark.parametrize("kind", DATA)
def test_a_row_is_the_same_alone_and_among_others(kind, fitted):
    features = shown(fitted[kind], DATA[kind])
    assert_array_equal(shown(fitted[kind], some(DATA[kind], [7, 3])), features[[7, 3]])


@pytest.mark.parametrize("kind", DATA)
def test_files_and_dumps_hold_all_of_it(kind, fitted, tmp_path):
    features = shown(fitted[kind], DATA[kind])
    fitted[kind].save(tmp_path / "model.skclr")
    for other in (skclr.load(tmp_path / "model.skclr"), pickle.loads(pickle.dumps(fitted[kind]))):
        assert_array_equal(shown(other, DATA[kind]), features)
        assert shown(other.partial_fit(DATA[kind]), DATA[kind]).shape == features.shape


@pytest.mark.parametrize("kind", DATA)
def test_an_encoder_continues_from_the_features_that_it_knows(kind, fitted):
    X = some(DATA[kind], range(20))
    further = ContrastiveEmbedder(encoder=fitted[kind], max_epochs=0, **PARAMS.get(kind, {})).fit(X)
    before, after = (e.model_.embed(e.model_.read(X)) for e in (fitted[kind], further))
    assert_array_equal(after, before)


@pytest.mark.parametrize("kind", ["tabular", "series", "text"])
def test_every_other_verb(kind, fitted, tmp_path):
    model, X = copy.deepcopy(fitted[kind]), DATA[kind]
    assert np.isfinite(model.score(X))
    assert all(len(view) == 40 for view in model.make_views(X))
    if kind == "text":
        with pytest.raises(ValueError, match=r"sparse, and blocks must be dense\. Fit with passthrough=False"):
            model.transform_to(tmp_path / "features.npy", X)
    else:
        assert_array_equal(model.transform_to(tmp_path / "features.npy", X), model.transform(X))
    assert len(model.get_feature_names_out()) == shown(model, X).shape[1]
    model.set_params(warm_start=True).fit(X)
    y = np.where(np.arange(40) < 20, np.arange(40) % 2, -1)
    for fine_tune in (False, True):
        classifier = SemiSupervisedClassifier(embedder(kind), fine_tune=fine_tune).fit(X, y)
        assert classifier.predict(X).shape == (40,)
    pairs = embedder(kind).fit((X, X[::-1]))
    assert shown(pairs, X).shape == shown(model, X).shape


@pytest.mark.parametrize("kind", DATA)
def test_displays_show_samples_as_they_are_and_views_as_components(kind, fitted, tmp_path):
    embedder, X = fitted[kind], DATA[kind]
    raw = embedder_of_samples(kind).fit(X)
    samples, others = draw_samples(embedder, X), draw_samples(raw, X)
    assert type(samples[0]) is type(others[0])
    assert all(repr(vars(one)) == repr(vars(other)) for one, other in zip(samples, others, strict=True))
    originals, views = draw_views(embedder, X, 0)
    assert originals[0].names[0] == "component 0"
    assert [len(view) for view in views] == [40, 40]
    ViewsDisplay.from_estimator(embedder, X, n_samples=2)
    NeighborsDisplay.from_estimator(embedder, X, n_queries=2, n_neighbors=2)
    if kind in ("tabular", "series"):
        assert "component 0" in skclr.report(embedder, X, path=tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["tabular", "series"])
def test_exported_graphs_compute_the_same(kind, fitted):
    X = torch.from_numpy(DATA[kind]).to(torch.float64 if kind == "tabular" else torch.float32)
    assert_allclose(fitted[kind].to_exported_program().module()(X), fitted[kind].transform(DATA[kind]), atol=1e-3)


@pytest.mark.parametrize("kind", ["tabular", "series"])
def test_columns_mean_the_same_in_all_of_a_stream(kind, fitted):
    embedder, X = copy.deepcopy(fitted[kind]), DATA[kind]
    balance = embedder.model_.balance.state()
    for piece in (X[:2], np.repeat(X[:1], 3, 0), X[20:]):
        after = embedder.partial_fit(piece).model_.balance.state()
        assert all(after[name] is value for name, value in balance.items())


@pytest.mark.parametrize("X", [DATA["tabular"][:3], DATA["series"][:3], np.ones((4, 6)), np.ones((4, 2, 30))])
def test_rows_of_a_first_piece_that_are_few_or_alike_hide_no_direction(X):
    new = rng.normal(size=(30, *X.shape[1:]))
    embedder = ContrastiveEmbedder(encoder="on_features", random_state=0).partial_fit(X)
    embedding = embedder.model_.embed(embedder.model_.read(new))
    balanced = embedder.transform(new)[:, : embedding.shape[1]]
    one, other = (np.linalg.svd(z - z.mean(0), compute_uv=False) for z in (embedding, balanced))
    assert_allclose(other / other[0], one / one[0], atol=1e-3)
    assert other[0] < 1e3


@pytest.mark.parametrize("params", [{"modality": "image"}, {"modality_params": {"channel_axis": -1}}])
def test_another_reading_than_that_of_the_encoder_is_refused(params, fitted):
    with pytest.raises(ValueError, match="reads X differently"):
        ContrastiveEmbedder(encoder=fitted["series"], max_epochs=0, **params).fit(DATA["series"])


# -- when it is chosen ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "chosen"),
    [
        ({}, True),
        ({"encoder": "on_features"}, True),
        ({"encoder": OnFeatures}, True),
        ({"encoder": "tcn"}, False),
        ({"views": "series"}, False),
        ({"encoder_params": {"width": 4}}, False),
    ],
)
def test_small_series_are_seen_through_plain_features_unless_samples_were_meant(params, chosen):
    model = ContrastiveEmbedder(max_epochs=0, random_state=0, **params).fit(DATA["series"]).model_
    assert isinstance(model.modality, PlainFeatures) is chosen


def test_streams_pairs_and_many_rows_are_seen_as_they_are(monkeypatch):
    X = DATA["series"]
    auto = ContrastiveEmbedder(max_epochs=0, encoder_params=None, random_state=0)
    assert isinstance(auto.fit((X, X)).model_.modality, Series)
    assert isinstance(ContrastiveEmbedder(random_state=0).partial_fit(X).model_.modality, Series)
    monkeypatch.setattr(Series, "few_rows", 60)
    assert isinstance(auto.fit(X).model_.modality, PlainFeatures)
    assert isinstance(auto.fit(X, unlabeled=X).model_.modality, Series)


@pytest.mark.parametrize("views", ["series", "image", "text"])
def test_views_of_samples_are_refused(views):
    with pytest.raises(ValueError, match=views):
        embedder("series", views=views).fit(DATA["series"])


def test_the_plan_says_what_was_chosen():
    plan = ContrastiveEmbedder(random_state=0).fit(DATA["series"][:8]).model_.plan
    assert plan.views.arguments["n_neighbors"] == 5
    assert plan.loss.arguments == {"temperature": 1.0}
    assert plan.batch_size == 8
    assert plan.max_epochs == 250


@pytest.mark.parametrize("loss_params", [{"temperature": 0.3}, None])
@pytest.mark.parametrize("loss", ["auto", "nt_xent", "info_nce"])
def test_what_the_user_sets_comes_first(loss, loss_params):
    params = {"loss": loss, "loss_params": loss_params, "views_params": {"n_neighbors": 7}}
    plan = ContrastiveEmbedder(max_epochs=0, random_state=0, **params).fit(DATA["series"]).model_.plan
    assert plan.views.arguments["n_neighbors"] == 7
    temperature = (loss_params or {}).get("temperature", 1.0 if loss == "auto" else 0.2)
    assert plan.loss.arguments["temperature"] == temperature
