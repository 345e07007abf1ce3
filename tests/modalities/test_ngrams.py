"""Texts by default: TF-IDF of n-grams as sparse rows, and a network on their components."""

import pickle
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_backend
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import hstack, issparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, compare, diagnose
from skclr.evaluation import beside_baselines, knn_probe, linear_probe
from skclr.modalities import NGrams, SparsePlainFeatures, Text
from skclr.modalities.tfidf import TfIdf
from skclr.model import InputFeatures
from skclr.plotting import EmbeddingDisplay, NeighborsDisplay, ViewsDisplay

rng = np.random.default_rng(0)
TOPICS = ("goal match team ball win the a", "stock bank price market fund the a")
Y = np.arange(60) % 2
TEXTS = [" ".join(rng.choice(TOPICS[label].split(), 6)) for label in Y]


def embedder(**params):
    return ContrastiveEmbedder(**{"max_epochs": 1, "random_state": 0, **params})


def equal(one, other):
    return one.shape == other.shape and (one != other).nnz == 0


@pytest.fixture(scope="module")
def fitted():
    return embedder().fit(TEXTS)


@pytest.fixture(scope="module")
def features(fitted):
    return fitted.transform(TEXTS)


# -- TF-IDF -----------------------------------------------------------------------------------------


def test_rows_are_those_of_scikit_learn():
    texts = ["The cat sat.", "A cat, a dog!", "dogs bark bark", "", "the end of the day", "ÉTÉ \U0001f600"]
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    characters = TfidfVectorizer(sublinear_tf=True, ngram_range=(2, 5), analyzer="char_wb")
    expected = hstack([part.fit_transform(texts) for part in (words, characters)])
    tfidf = TfIdf().fit(texts)
    assert_allclose(tfidf(texts).toarray(), expected.toarray(), rtol=1e-6)
    assert tfidf(texts).dtype == np.float32
    new = ["a cat and the end", "xyz", ""]
    expected = hstack([part.transform(new) for part in (words, characters)])
    assert_allclose(tfidf(new).toarray(), expected.toarray(), rtol=1e-6)


def test_ngrams_of_most_texts_are_kept(monkeypatch):
    monkeypatch.setattr("skclr.modalities.tfidf._MOST_NGRAMS", 2)
    # "no" occurs most often, but in one text only; "dog" comes before "dogs".
    tfidf = TfIdf().fit(["no no no no no", "cat dogs", "cat dog"])
    assert tfidf.words_ == ("cat", "cat dog")


def test_a_first_piece_of_text_that_repeats_keeps_one_length(features):
    plain = features[:, 128:]
    assert_allclose(plain.power(2).sum(1), 2, rtol=1e-5)


# -- what X may be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        np.array,
        lambda X: np.array(X, dtype=object),
        lambda X: np.array(X)[:, None],
        pd.Series,
        lambda X: pd.DataFrame({"text": X}, index=range(60, 0, -1)),
        pl.Series,
        lambda X: pl.DataFrame({"text": X}),
    ],
)
def test_every_container_is_read_alike(container, fitted, features):
    given = {"modality": "text"}
    assert equal(embedder(**given).fit(container(TEXTS)).transform(container(TEXTS)), features)
    assert equal(fitted.transform(container(TEXTS)), features)


def test_empty_unknown_and_strange_texts_are_embedded(fitted):
    strange = ["", " ", "ζ" * 9, "\ud800", "\U0001f600 \x00", "goal " * 50_000]
    found = fitted.transform(strange)
    assert np.isfinite(found.data).all()
    plain = found[:, 128:]
    assert plain[:5].nnz == 0
    assert plain[5].nnz > 0
    # All of them are the same to the network.
    assert_array_equal(found[0].toarray(), found[2].toarray())


@pytest.mark.parametrize("X", [["a", None], ["a", b"b"], ["a", 3], ["one"], [], ["", " "], ["a b", b"a b"]])
def test_what_is_no_text_is_refused_by_every_verb(X, fitted):
    for verb in (embedder(modality="text").fit, fitted.transform):
        if verb == fitted.transform and all(isinstance(text, str) for text in X) and X:
            continue
        with pytest.raises((ValueError, TypeError), match=r"X (has|is)|is bytes"):
            verb(X)


@pytest.mark.parametrize("n", [2, 3, 7, 31])
@pytest.mark.parametrize("texts", [TEXTS, ["the same"] * 31, [f"w{i:02d}" for i in range(31)], ["", "", "x"] * 11])
def test_few_or_equal_texts_are_fitted(n, texts):
    texts = texts[:n] if any(texts[:n]) else texts[-n:]
    found = embedder(max_epochs=3).fit(texts)
    one = found.transform(texts)
    assert np.isfinite(one.data).all()
    assert one.shape == (n, found.model_.n_features_out)
    assert equal(found.transform(texts[:1]), one[:1])


# -- verbs ------------------------------------------------------------------------------------------


def test_features_are_the_embedding_and_the_ngrams(fitted, features):
    model = fitted.model_
    assert isinstance(model.modality, SparsePlainFeatures)
    assert isinstance(model.modality.source, NGrams)
    assert fitted.modality_ == "text"
    assert model.plan.modality.make is Text
    assert features.format == "csr"
    assert features.dtype == np.float32
    assert equal(features[:, 128:], model.features(model.read(TEXTS)))
    assert equal(features[:, 128:], TfIdf().fit(TEXTS)(TEXTS))
    dense = features.toarray()
    assert_allclose(dense[:, :128].var(0).sum(), 0.25 * dense[:, 128:].var(0).sum(), rtol=1e-3)


def test_names_tell_ngrams(fitted, features):
    names = fitted.get_feature_names_out()
    assert len(names) == features.shape[1] == len(set(names))
    assert names[0] == "contrastiveembedder0"
    column = names.tolist().index("words__goal")
    assert_array_equal(features[:, column].toarray().ravel() > 0, ["goal" in text for text in TEXTS])
    assert "characters__ go" in names
    assert len(embedder(passthrough=False).fit(TEXTS).get_feature_names_out()) == 128


def test_without_passthrough_the_embedding_is_dense():
    alone = embedder(passthrough=False).fit(TEXTS)
    assert alone.transform(TEXTS).shape == (60, 128)
    assert isinstance(alone.transform(TEXTS), np.ndarray)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_need_dense_features(container):
    frames = embedder().set_output(transform=container).fit(TEXTS)
    message = f"set_output.transform='{container}'. needs dense features.*Set passthrough=False"
    with pytest.raises(ValueError, match=message):
        frames.transform(TEXTS)
    with pytest.raises(ValueError, match=message):
        embedder().set_output(transform=container).fit_transform(TEXTS)
    alone = embedder(passthrough=False).set_output(transform=container).fit(TEXTS)
    assert alone.transform(TEXTS).shape == (60, 128)


def test_blocks_on_disk_need_dense_features(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"blocks must be dense.*passthrough=False"):
        fitted.transform_to(tmp_path / "features.npy", TEXTS)
    assert not list(tmp_path.iterdir())
    alone = embedder(passthrough=False).fit(TEXTS)
    assert_array_equal(alone.transform_to(tmp_path / "features.npy", TEXTS), alone.transform(TEXTS))


def test_pipelines_searches_and_jobs():
    pipeline = make_pipeline(embedder(), StandardScaler(with_mean=False), LogisticRegression())
    assert clone(pipeline).fit(TEXTS, Y).score(TEXTS, Y) > 0.9
    search = GridSearchCV(
        make_pipeline(embedder(), LogisticRegression()), {"contrastiveembedder__max_epochs": [0, 1]}, cv=2, n_jobs=2
    )
    with parallel_backend("threading"):
        search.fit(TEXTS, Y)
    assert search.best_score_ > 0.8


def test_files_dumps_and_threads_give_the_same(fitted, features, tmp_path):
    fitted.save(tmp_path / "model.skclr")
    for other in (skclr.load(tmp_path / "model.skclr"), pickle.loads(pickle.dumps(fitted))):
        assert equal(other.transform(TEXTS), features)
        assert_array_equal(other.get_feature_names_out(), fitted.get_feature_names_out())
        further = other.set_params(warm_start=True).fit(TEXTS[:20])
        assert equal(further.transform(TEXTS)[:, 128:], features[:, 128:])
    found = {}

    def run(i):
        found[i] = fitted.transform(TEXTS)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(found[i], features) for i in range(4))


def test_unlabelled_texts_and_pairs_are_taken():
    more = embedder().fit(TEXTS[:30], unlabeled=TEXTS[30:])
    assert more.model_.n_samples == 60
    # Weights of n-grams are those of X.
    assert equal(more.transform(TEXTS[:30])[:, 128:], TfIdf().fit(TEXTS[:30])(TEXTS[:30]))
    pairs = embedder(encoder="on_features").fit((TEXTS, TEXTS[::-1]))
    assert pairs.transform(TEXTS).shape == (60, pairs.model_.n_features_out)
    by_label = embedder(positives="labels").fit(TEXTS, Y)
    assert np.isfinite(by_label.score(TEXTS))
    held_out = embedder(early_stopping=True, max_epochs=2).fit(TEXTS)
    assert "valid_loss" in held_out.history_[0]


def test_measures_and_displays(fitted, features, tmp_path):
    # Too few labels to choose C by cross-validation, which takes most of the time.
    few = np.where(np.arange(60) < 14, Y, -1)
    assert np.isfinite(fitted.score(TEXTS))
    assert [len(view) for view in fitted.make_views(TEXTS)] == [60, 60]
    assert all(finding.message for finding in diagnose(fitted, TEXTS, few, X_test=TEXTS[:5]))
    split = features[:40], Y[:40], features[40:], Y[40:]
    assert linear_probe(*split) > 0.8
    assert knn_probe(*split) > 0.8
    rows = beside_baselines(fitted, TEXTS[:40], TEXTS[40:])
    assert all(issparse(test) for _, test in rows.values())
    baselines = ("raw features", "PCA", "untrained encoder")
    found = compare(TEXTS, Y, {"texts": embedder()}, baselines=baselines, labels_per_class=(2,), cv=2)
    assert len(found.records) == len(baselines) + 3  # plain features, embedding, and both
    NeighborsDisplay.from_estimator(fitted, TEXTS, n_queries=2, n_neighbors=2)
    ViewsDisplay.from_estimator(fitted, TEXTS, n_samples=2)
    EmbeddingDisplay.from_estimator(fitted, TEXTS, Y)
    page = skclr.report(fitted, TEXTS, few, tmp_path / "report.html").read_text("utf-8")
    assert "raw features" in page


@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_classifier_learns_from_both(fine_tune):
    partly = np.where(np.arange(60) < 40, Y, -1)
    classifier = SemiSupervisedClassifier(embedder(), fine_tune=fine_tune).fit(TEXTS, partly)
    assert classifier.score(TEXTS, Y) > 0.8
    assert classifier.predict_proba(TEXTS).shape == (60, 2)


def test_graphs_are_refused(fitted, tmp_path):
    for export in (fitted.to_exported_program, lambda: fitted.to_onnx(tmp_path / "model.onnx")):
        with pytest.raises(ValueError, match="texts are read in Python, which cannot be exported"):
            export()


def test_an_encoder_goes_on_from_its_ngrams(fitted, features):
    further = embedder(encoder=fitted, max_epochs=0).fit(TEXTS[:20])
    assert equal(further.transform(TEXTS)[:, 128:], features[:, 128:])
    with pytest.raises(ValueError, match="reads X differently"):
        embedder(encoder=fitted, modality_params={"tokenizer": "words"}).fit(TEXTS)


# -- when they are chosen ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "chosen"),
    [
        ({}, True),
        ({"modality": "text"}, True),
        ({"encoder": "on_features"}, True),
        ({"modality_params": {"tokenizer": "auto", "max_tokens": 64}}, True),
        ({"modality_params": {"tokenizer": "words"}}, False),
        ({"modality_params": {"max_tokens": 8}}, False),
        ({"encoder": "text"}, False),
        ({"encoder": "text_transformer"}, False),
        ({"views": "text"}, False),
        ({"encoder_params": {"width": 8}}, False),
    ],
)
def test_tokens_are_read_where_they_are_meant(params, chosen):
    model = embedder(**{"max_epochs": 0, **params}).fit(TEXTS).model_
    assert isinstance(model.modality, SparsePlainFeatures) is chosen
    assert model.has_sparse_output is chosen


def test_many_rows_and_streams_are_read_as_tokens(monkeypatch):
    assert isinstance(embedder().partial_fit(TEXTS).model_.modality, Text)
    monkeypatch.setattr("skclr.modalities.text._FEW_ROWS", 59)
    assert isinstance(embedder(max_epochs=0).fit(TEXTS).model_.modality, Text)
    assert isinstance(embedder(max_epochs=0).fit(TEXTS[:59]).model_.modality, SparsePlainFeatures)


def test_a_stream_of_ngrams_keeps_its_columns(fitted):
    stream = embedder(encoder="on_features").partial_fit(TEXTS[:30])
    before = stream.transform(TEXTS)
    after = stream.partial_fit(TEXTS[30:]).transform(TEXTS)
    assert equal(after[:, 128:], before[:, 128:])
    with pytest.raises(ValueError, match="0 sample"):
        stream.partial_fit([])


# -- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"words_": ("a", "a")}, "twice in the vocabulary"),
        ({"words_": ("a", 3)}, "no words_ of type tuple"),
        ({"words_": ["a", "b"]}, "no words_ of type list"),
        ({"characters_": ()}, r"idf_ is float32 \(\d+,\), not"),
        ({"idf_": np.full(2, np.nan, np.float32)}, "idf_"),
        ({"idf_": np.ones((1, 2))}, "idf_"),
        ({"analyzer": "word"}, "no analyzer"),
    ],
)
def test_forged_vocabularies_are_refused(changed, message):
    state = TfIdf().fit(["a red rose", "a daisy"]).state()
    with pytest.raises(ValueError, match=message):
        TfIdf.from_state({**state, **changed})


def test_weights_that_are_not_finite_are_refused():
    state = TfIdf().fit(["a red rose", "a daisy"]).state()
    with pytest.raises(ValueError, match="not finite"):
        TfIdf.from_state({**state, "idf_": state["idf_"] * np.inf})


def test_a_shape_of_other_ngrams_is_refused():
    ngrams = NGrams()
    ngrams.read(TEXTS, InputFeatures(), reset=True)
    with pytest.raises(ValueError, match="n-grams"):
        NGrams.from_state({**ngrams.state(), "shape_": (3,)})
