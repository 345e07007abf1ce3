"""Comparison of an embedding with its baselines: one harness, labels in any container, clear errors."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import check_scoring, log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, compare
from skclr.data import encode_labels
from skclr.evaluation import (
    SCORERS,
    corrected_t_test,
    draw_labels,
    fine_tune_probe,
    knn_probe,
    label_efficiency,
    linear_probe,
    transfer_probe,
)
from skclr.evaluation.candidates import BASELINES, Features, RawFeatures, with_baselines
from skclr.evaluation.harness import Trial
from skclr.evaluation.judges import Judge, knn_judge, linear_judge
from skclr.evaluation.statistics import Difference
from skclr.evaluation.verdicts import best_of, gain, sentence, sentence_in_points
from skclr.fine_tuning import tune
from skclr.modalities import MODALITIES
from tests.seams.test_labels import CONTAINERS

X, TRUTH = make_blobs(60, 5, centers=3, cluster_std=4, random_state=0)
# Half of seven labels per class are too few to choose C by cross-validation, which takes most of the time.
KNOWN = np.isin(np.arange(60), [np.flatnonzero(c == TRUTH)[:7] for c in range(3)])
PARTLY = np.where(KNOWN, TRUTH, -1)
UNTRAINED = {"encoder_params": {"width": 16}, "max_epochs": 0}


@cache
def embedder():
    return ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X)


def table_of(found):
    return [(r["features"], r["labels_per_class"], r["scores"]) for r in found.records], found.verdict


# Each returns all that the labels have an influence on.
VERBS = {
    "linear_probe": lambda y: linear_probe(X, y, X, y, scoring=["accuracy", "f1_macro"], penalties=(0.1, 1.0)),
    "knn_probe": lambda y: knn_probe(X, y, X, y, n_neighbors=9),
    "fine_tune_probe": lambda y: fine_tune_probe(embedder(), X, y, X, y),
    "transfer_probe": lambda y: transfer_probe(embedder(), X, y, X, y),
    "draw_labels": lambda y: np.concatenate([*draw_labels(y, 3, 2), *draw_labels(y, "all", 1)]).tolist(),
    "label_efficiency": lambda y: label_efficiency({"raw": (X, X)}, y, y, (2, "all"), n_draws=2),
    "compare": lambda y: table_of(
        compare(X, y, ["simclr"], ["PCA"], labels_per_class=(3, "all"), cv=2, embedder_params=UNTRAINED)
    ),
}
AS_USERS_HAVE_THEM = [
    "list",
    "float with NaN",
    "shuffled Series",
    "tensor",
    "list with -1",
    "strings with '-1'",
    "categorical",
]


@cache
def expected(verb):
    return VERBS[verb](PARTLY)


SLOW = ("fine_tune_probe", "transfer_probe", "compare")


@pytest.mark.parametrize(
    ("verb", "container"),
    [
        (verb, container)
        for verb in VERBS
        for container in [*AS_USERS_HAVE_THEM, "polars", "polars Categorical"]
        if verb not in SLOW or container in ("shuffled Series", "list with -1", "polars")
    ],
)
def test_every_verb_gives_every_container_the_same_answer(verb, container):
    assert str(VERBS[verb](CONTAINERS[container](PARTLY))) == str(expected(verb))


@pytest.mark.parametrize(
    "y", [np.where(TRUTH == 0, -1, 1), ["-1" if c == 0 else "yes" for c in TRUTH]], ids=["1", "yes"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_minus_one_and_one_class_are_refused(verb, y):
    with pytest.raises(ValueError, match=r"contains -1 \(unlabelled\) and one class. Recode two classes as 0 and 1"):
        VERBS[verb](y)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ("r.html", TypeError, "is a str. Pass an array"),
        (5, TypeError, "is a int"),
        (np.eye(60), ValueError, "has 60 columns"),
        (np.linspace(0, 1, 60), ValueError, "continuous"),
    ],
    ids=["path", "number", "columns", "continuous"],
)
def test_what_is_not_a_y_is_refused_in_our_words(verb, y, error, message):
    with pytest.raises(error, match=message):
        VERBS[verb](y)


# -- the harness ----------------------------------------------------------------------------------


class Doubled(TransformerMixin, BaseEstimator):
    """A baseline of one line: the columns, the first of them on a scale of its own."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.c_[1000 * X[:, :1], X]


class Trees(Features):
    """A baseline with a classifier of its own, which is scored as the judge says."""

    def score(self, train, y_train, test, y_test, *, judge):
        return judge.score(DecisionTreeClassifier(random_state=0).fit(train, y_train), test, y_test)


SPLIT = np.arange(0, 60, 2), np.arange(1, 60, 2)
LABELS = encode_labels(TRUTH)


def test_a_baseline_is_a_class_and_a_line(monkeypatch):
    monkeypatch.setitem(BASELINES, "doubled", lambda embedder: Features(Doubled()))
    monkeypatch.setitem(BASELINES, "trees", lambda embedder: Trees(RawFeatures(embedder)))
    settings = {"labels_per_class": ("all",), "embedder_params": UNTRAINED}
    found = compare(X, TRUTH, ["simclr"], ["doubled", "trees"], cv=[SPLIT, SPLIT[::-1]], **settings)
    shown = {
        name: Trial.of(candidate, X, LABELS, *SPLIT).score(linear_judge())
        for name, candidate in with_baselines(embedder(), ["doubled", "trees"]).items()
    }
    assert list(shown) == ["doubled", "trees", "plain features", "embedding alone", "embedding + plain features"]
    for record in found.records[:2]:
        assert record["scores"][0] == shown[record["features"]]
    train, test = SPLIT
    tree = DecisionTreeClassifier(random_state=0).fit(RawFeatures(embedder()).fit_transform(X[train]), TRUTH[train])
    assert shown["trees"] == tree.score(RawFeatures(embedder()).fit(X[train]).transform(X[test]), TRUTH[test])


@pytest.mark.parametrize("standardize", [True, False])
def test_standardising_is_a_property_of_the_judge(standardize):
    train, test = SPLIT
    trial = Trial.of(Features(Doubled()), X, LABELS, train, test)
    Z = Doubled().transform(X)
    expected = linear_probe(Z[train], TRUTH[train], Z[test], TRUTH[test], standardize=standardize)
    assert trial.score(linear_judge(standardize=standardize)) == expected
    # A vote by cosine takes features as they are.
    assert trial.score(knn_judge()) == knn_probe(Z[train], TRUTH[train], Z[test], TRUTH[test])


def test_scaled_as_one_keeps_what_the_columns_scales_tell():
    train, test = SPLIT
    Z = Doubled().transform(X)
    model = LogisticRegression(max_iter=1000, tol=1e-3)
    model.fit((Z[train] - Z[train].mean(0)) / (Z[train] - Z[train].mean(0)).std(), TRUTH[train])
    expected = model.score((Z[test] - Z[train].mean(0)) / (Z[train] - Z[train].mean(0)).std(), TRUTH[test])
    assert linear_probe(Z[train], TRUTH[train], Z[test], TRUTH[test], penalties=(1.0,)) == expected


@pytest.mark.parametrize(
    ("estimator", "scoring", "target"),
    [
        (DecisionTreeClassifier(random_state=0), ["accuracy", "balanced_accuracy"], TRUTH),
        (Ridge(), "r2", X[:, 0]),
        (OneVsRestClassifier(LogisticRegression()), "f1_macro", np.stack([TRUTH == 0, TRUTH < 2], 1).astype(int)),
    ],
    ids=["trees", "regression", "several labels"],
)
def test_any_estimator_can_judge(estimator, scoring, target):
    train, test = SPLIT
    Z = X[:, 1:]
    scores = Judge([estimator], scoring, standardize=True)(Z[train], target[train], Z[test], target[test])
    model = make_pipeline(StandardScaler(), clone(estimator)).fit(Z[train], target[train])
    assert scores == pytest.approx(check_scoring(model, scoring)(model, Z[test], target[test]))


def some_rows_of(modality):
    rng = np.random.default_rng(0)
    if modality == "tabular":
        frame = pd.DataFrame(rng.normal(size=(12, 3)), columns=list("abc")).assign(d=pd.Categorical([*"uvw"] * 4))
        return frame.mask(rng.random((12, 4)) < 0.1)
    if modality == "image":
        return rng.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    if modality == "series":
        return [rng.normal(size=(2, length)) for length in range(20, 32)]
    if modality == "audio":
        return rng.normal(size=(12, 2_000)).astype(np.float32)
    return [" ".join(rng.choice(["cat", "dog", "sun", "moon"], 1 + i % 5)) for i in range(12)]


@pytest.mark.parametrize("modality", MODALITIES)
def test_raw_features_are_the_values_and_need_no_network(modality, monkeypatch):
    rows = some_rows_of(modality)
    params = {"modality_params": {"sampling_rate": 8_000}} if modality == "audio" else {}
    fitted = ContrastiveEmbedder(
        encoder_params={"width": 16}, max_epochs=0, passthrough=True, modality=modality, **params
    ).fit(rows)
    expected = fitted.transform(rows)[:, fitted.model_.n_learned :]
    if modality == "tabular":
        # The plain features are a map of the columns.
        reader = fitted.model_.modality
        expected = reader.columns(reader.to_tensor(fitted.model_.reading.rows(rows))).numpy()
    if modality == "series":
        # The plain features are outputs of kernels.
        reader = fitted.model_.modality.base_modality
        values = np.stack([np.pad(row, ((0, 0), (0, 31 - row.shape[1])), constant_values=np.nan) for row in rows])
        standardized = (values.astype(np.float32) - reader.mean_.numpy()) / reader.deviation_.numpy()
        expected = np.nan_to_num(standardized).reshape(12, -1)
    unfitted = clone(fitted)
    monkeypatch.setattr(ContrastiveEmbedder, "fit", lambda *rows: pytest.fail("a network is built"))
    for known in (fitted, unfitted):
        assert_array_equal(RawFeatures(known).fit(rows).transform(rows), expected)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.3, "helped"),
        (-0.3, -0.1, "did harm"),
        (-0.1, 0.1, "did not clearly help"),
        (0.0, 0.1, "did not clearly"),
    ],
)
def test_one_verdict(low, high, words):
    difference = Difference((low + high) / 2, low, high, 0.5)
    assert f"Pretraining {words}" in sentence("a", "b", difference, (5,), 5, 2)
    assert f"pretraining {words}" in sentence_in_points("b", difference)
    points = f"b (95 % interval from {100 * low:+.1f} to {100 * high:+.1f})"
    assert points in sentence_in_points("b", difference)
    scores = {name: np.array([[0.5, 0.7], [0.6, 0.8]]) + offset for name, offset in [("a", 0), ("b", 0.1), ("c", 0.1)]}
    assert best_of(scores, ["a", "b", "c"]) == "b"
    scores["a"] = scores["b"] + np.array([[low, high], [high, low]]) * np.array([[1], [1.2]])
    halves = np.array([1, 1.2]) * (low + high) / 2
    assert gain(scores, "a", "b", 0.5, n_tests=2) == pytest.approx(corrected_t_test(halves, 0.5, n_tests=2))


# -- unlabelled rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["linear_probe", "knn_probe", "fine_tune_probe"])
def test_a_probe_is_as_on_the_labelled_rows_alone(verb):
    probe, settings = {
        "linear_probe": (linear_probe, {}),
        "knn_probe": (knn_probe, {"n_neighbors": 5}),
        "fine_tune_probe": (lambda *args: fine_tune_probe(embedder(), *args), {}),
    }[verb]
    alone = probe(X[KNOWN], TRUTH[KNOWN], X[KNOWN], TRUTH[KNOWN], **settings)
    assert probe(X, PARTLY, X, PARTLY, **settings) == alone


@pytest.mark.parametrize("n_labels", [1, 3, 100, "all"])
def test_unlabelled_rows_are_never_drawn(n_labels):
    for rows in draw_labels(PARTLY, n_labels, 5):
        assert (PARTLY[rows] >= 0).all()
    assert n_labels != "all" or len(rows) == KNOWN.sum()


def test_compare_trains_on_unlabelled_rows_and_scores_none():
    """A scorer sees labelled rows alone; an embedder's training part holds every unlabelled one."""
    scored, sizes = [], []

    def spy(model, Z, y):
        scored.extend(y)
        return model.score(Z, y)

    class Counting(PCA):
        def fit(self, X, y=None):
            sizes.append(len(X))
            return super().fit(X)

    settings = {"labels_per_class": (2,), "n_draws": 1, "cv": 3, "scoring": spy}
    parameters = {**UNTRAINED, "passthrough": False}
    compare(X, PARTLY, ["simclr"], {"counting": Counting(2)}, embedder_params=parameters, **settings)
    assert sorted(scored) == sorted([*TRUTH[KNOWN]] * 2)
    assert sizes == [14 + 39] * 3


def test_folds_of_the_users_own_have_the_row_numbers_of_X():
    rows = np.arange(60)
    folds = [(rows[rows % 2 == 0], rows[rows % 2 == 1]), (rows[rows % 2 == 1], rows[rows % 2 == 0])]
    settings = {"labels_per_class": ("all",), "embedder_params": UNTRAINED}
    own = compare(X, PARTLY, ["simclr"], ["PCA"], cv=folds, **settings)
    known = [(train, test[KNOWN[test]]) for train, test in folds]
    assert table_of(own)[0] == table_of(compare(X, PARTLY, ["simclr"], ["PCA"], cv=known, **settings))[0]


# -- errors and edges -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(60), "y has labels of 1 class, but compare needs 2"),
        ([None] * 60, "y has labels of 0 classes"),
        (np.r_[0, np.ones(59)], "class 0.0 of y has 1 labelled row"),
        (["rare", *["often"] * 59], "class rare of y has 1 labelled row"),
    ],
)
def test_compare_needs_two_rows_of_two_classes(y, message):
    with pytest.raises(ValueError, match=message):
        compare(X, y, ["simclr"], ["PCA"])


def test_a_fold_without_two_classes_is_named():
    rows = np.arange(60)
    folds = [(np.flatnonzero(TRUTH == 0), rows[:9]), (rows[:30], rows[30:])]
    with pytest.raises(ValueError, match="fold 1 of cv has training labels of fewer than 2 classes"):
        compare(X, TRUTH, ["simclr"], ["PCA"], cv=folds)


@pytest.mark.parametrize("n_labels", [0, -1, 2.5, True, "some", None])
def test_numbers_of_labels(n_labels):
    for call in (
        lambda: draw_labels(TRUTH, n_labels, 1),
        lambda: label_efficiency({"raw": (X, X)}, TRUTH, TRUTH, (n_labels,)),
        lambda: compare(X, TRUTH, ["simclr"], ["PCA"], labels_per_class=(5, n_labels)),
    ):
        with pytest.raises(ValueError, match=r"labels_per_class has .*. Use 'all' or a whole number of 1 or more"):
            call()


def test_one_class_is_refused_by_a_probe():
    with pytest.raises(ValueError, match="y_train has labels of 1 class, but a probe needs 2 or more"):
        linear_probe(X, np.zeros(60), X, TRUTH)
    with pytest.raises(ValueError, match="y_test has labels of 0 classes"):
        knn_probe(X, TRUTH, X, [None] * 60)
    with pytest.raises(ValueError, match="y_train has 59 values, but X has 60 rows"):
        linear_probe(X, TRUTH[1:], X, TRUTH)


def test_the_first_penalty_serves_where_no_row_can_be_held_out():
    settings = {"n_draws": 2, "labels_per_class": (1, 2)}
    several = label_efficiency({"raw": (X, X)}, TRUTH, TRUTH, penalties=(0.1, 10.0), **settings)
    one = label_efficiency({"raw": (X, X)}, TRUTH, TRUTH, penalties=(0.1,), **settings)
    assert several[0] == one[0]
    # A fifth of the rows is fewer than the classes.
    many = np.arange(60) // 4
    assert linear_probe(X, many, X, many, penalties=(0.1, 10.0)) > 0


@pytest.mark.parametrize("temperature", [1e-2, 1e-3, 1e-6, 1e-300])
def test_a_vote_at_any_temperature_follows_the_nearest_rows(temperature):
    # The nearest training row of each test row is the row itself.
    assert knn_probe(X, TRUTH, X, TRUTH, n_neighbors=20, temperature=temperature) == 1


@pytest.mark.parametrize("temperature", [0, -0.1, float("nan"), float("inf"), "0.1", None])
def test_temperatures(temperature):
    with pytest.raises(ValueError, match=r"temperature=.*: use a number above 0"):
        knn_probe(X, TRUTH, X, TRUTH, temperature=temperature)


def test_the_spread_in_compare_is_named():
    settings = {"labels_per_class": (2,), "n_draws": 1, "embedder_params": UNTRAINED}
    two, three = (repr(compare(X, TRUTH, ["simclr"], ["PCA"], cv=cv, **settings)) for cv in (2, 3))
    assert "Mean over 3 folds ± half the width of its 95 % interval." in three
    assert "Mean over 2 folds" in two
    assert "cv=5 is usual" in two


PIPELINES = {
    "one step": lambda e: make_pipeline(e),
    "last step": lambda e: make_pipeline(StandardScaler(), e),
    "a classifier after it": lambda e: make_pipeline(StandardScaler(), "passthrough", e, LogisticRegression()),
    "first of several": lambda e: make_pipeline(e, StandardScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("name", ["effective_rank", "alignment"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_scorers_measure_the_embedder_of_a_pipeline(name, pipeline):
    model = PIPELINES[pipeline](ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=0)).fit(
        X, TRUTH
    )
    [step] = [step for step in model if isinstance(step, ContrastiveEmbedder)]
    Z = X if step is model[0] else StandardScaler().fit_transform(X)
    assert SCORERS[name](model, X, TRUTH) == SCORERS[name](step, Z)


@pytest.mark.parametrize("model", [PCA(), make_pipeline(StandardScaler(), PCA()), None, SemiSupervisedClassifier()])
def test_scorers_name_what_they_expect(model):
    with pytest.raises(TypeError, match="Pass a fitted ContrastiveEmbedder, or a Pipeline with one among its steps"):
        SCORERS["alignment"](model, X)


# -- fine-tuning ----------------------------------------------------------------------------------


def test_fine_tuning_does_not_inherit_the_pretraining_s_epochs(digits):
    images, y = digits
    labels = np.where(np.arange(120) < 60, y, -1)
    scores = {}
    for fine_tune in (False, True):
        pretraining = ContrastiveEmbedder(
            encoder_params={"width": 16}, max_epochs=2, early_stopping=True, batch_size=32, random_state=0
        )
        model = SemiSupervisedClassifier(pretraining, fine_tune=fine_tune).fit(images, labels)
        scores[fine_tune] = model.score(images[60:], y[60:])
    assert scores[True] > scores[False] - 0.05


def test_the_supervised_network_is_the_same_whatever_the_embedder_s_epochs():
    settings = {"labels_per_class": (3,), "n_draws": 1, "cv": 2}
    once, twice = (
        compare(
            X, TRUTH, ["simclr"], ["supervised network"], embedder_params={**UNTRAINED, "max_epochs": n}, **settings
        )
        for n in (0, 1)
    )
    assert once.records[0]["scores"] == twice.records[0]["scores"]
    assert once.records[0]["mean"] > 0.5


def test_fine_tuning_starts_from_a_linear_probe():
    # Without a step, the head is the logistic regression of `linear_probe`.
    bare = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X)
    for y in (TRUTH, TRUTH > 0):
        tuned, head = tune(bare.model_, X[::2], np.unique(y[::2], return_inverse=True)[1], n_steps=0)
        Z = bare.transform(X)
        linear = linear_probe(Z[::2], y[::2], Z[1::2], y[1::2], scoring="neg_log_loss")
        assert -log_loss(y[1::2], head.predict_proba(tuned.transform(X[1::2]))) == pytest.approx(linear, abs=0.02)
        assert tuned is bare.model_


def test_labels_of_a_frame_are_taken_by_position():
    shuffled = np.random.default_rng(1).permutation(60)
    frame = pd.DataFrame(X, index=shuffled)
    records = label_efficiency({"raw": (frame, frame)}, pd.Series(TRUTH, index=shuffled), TRUTH, (5,), n_draws=2)
    assert_array_equal(
        records[0]["scores"], label_efficiency({"raw": (X, X)}, TRUTH, TRUTH, (5,), n_draws=2)[0]["scores"]
    )
