import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import (
    check_classifiers_classes,
    check_classifiers_train,
    parametrize_with_checks,
)

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, load
from skclr.evaluation import linear_probe
from skclr.fine_tuning import PenalizedHead, tune
from skclr.logistic import fit_recommended

NAMED_IN_SCIKIT_LEARN = {
    "check_classifiers_classes": "takes -1 for a class, but for the semi-supervised classifiers it knows by name"
}


def narrow(*, fine_tune):
    params = {
        "encoder": "mlp",
        "encoder_params": {"width": 32},
        "passthrough": False,
        "max_epochs": 2,
        "random_state": 0,
    }
    # Choosing C by cross-validation takes most of the time: once is enough, before fine-tuning.
    return SemiSupervisedClassifier(ContrastiveEmbedder(**params), LogisticRegression(), fine_tune=fine_tune)


@pytest.fixture
def few_steps(monkeypatch):
    """Fine-tune for 10 steps instead of 300."""
    monkeypatch.setattr("skclr.semi_supervised.tune", partial(tune, n_steps=10))


@pytest.mark.usefixtures("few_steps")
@parametrize_with_checks(
    [narrow(fine_tune=False), narrow(fine_tune=True)], expected_failed_checks=lambda _: NAMED_IN_SCIKIT_LEARN
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_scikit_learn_check_of_all_steps_of_fine_tuning():
    check_classifiers_train("SemiSupervisedClassifier", narrow(fine_tune=True))


def test_classes_as_scikit_learn_checks_its_own_semi_supervised_classifiers():
    check_classifiers_classes("SelfTrainingClassifier", SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=20)))


@pytest.fixture
def partly(table):
    """A table with two labels per class."""
    X, y = table
    known = np.concatenate([np.flatnonzero(y == c)[:2] for c in range(3)])
    labels = np.full(len(y), -1)
    labels[known] = y[known]
    return X, labels, y


@pytest.mark.parametrize("fine_tune", [False, True])
def test_few_labels_are_enough(partly, quick, fine_tune):
    X, labels, y = partly
    model = SemiSupervisedClassifier(quick(max_epochs=20), fine_tune=fine_tune).fit(X, labels)
    assert model.score(X, y) > 0.9
    assert_array_equal(model.classes_, [0, 1, 2])
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1, rtol=1e-6)
    assert_array_equal(model.predict_proba(X).argmax(1), model.predict(X))


def test_the_embedder_sees_every_row_and_the_classifier_the_labelled_ones(partly, quick):
    X, labels, _ = partly
    model = SemiSupervisedClassifier(quick(), KNeighborsClassifier(1)).fit(X, labels)
    assert_array_equal(model.embedder_.transform(X), quick().fit_transform(X))
    assert model.classifier_.n_samples_fit_ == 6


@pytest.fixture
def two_rings():
    """Two classes that no linear model tells apart in their columns."""
    rng = np.random.default_rng(0)
    y, angles = np.arange(120) % 2, rng.uniform(0, 6.28, 120)
    return (1 + y[:, None]) * np.c_[np.cos(angles), np.sin(angles)] + rng.normal(scale=0.1, size=(120, 2)), y


def test_fine_tuning_moves_the_encoder_and_keeps_the_plain_features(two_rings, quick):
    X, y = two_rings
    before = quick().fit(X)
    model = SemiSupervisedClassifier(quick(), fine_tune=True).fit(X, y)
    features, plain = model.embedder_.transform(X), before.model_.n_plain
    assert not np.array_equal(features, before.transform(X))
    assert_array_equal(features[:, -plain:], before.transform(X)[:, -plain:])
    frozen = SemiSupervisedClassifier(quick()).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) < log_loss(y, frozen.predict_proba(X))


def test_fine_tuning_takes_a_class_that_the_chosen_rows_leave_out(two_rings, quick, monkeypatch):
    X, y = two_rings
    monkeypatch.setattr("skclr.logistic._MOST_ROWS", len(X) // 2)
    # In the order of classes, the single row comes after 59 others, and every second row is used.
    labels = np.where(np.arange(len(X)) == 0, 1, 2 * y)
    model = SemiSupervisedClassifier(quick(), fine_tune=True).fit(X, labels)
    assert model.predict_proba(X).shape == (len(X), 3)


def test_fine_tuning_that_does_not_help_leaves_the_encoder(table, quick):
    X, _ = table
    at_random = np.random.default_rng(0).integers(0, 2, len(X))
    model = SemiSupervisedClassifier(quick(), fine_tune=True).fit(X, at_random)
    frozen = SemiSupervisedClassifier(quick()).fit(X, at_random)
    assert_array_equal(model.predict_proba(X), frozen.predict_proba(X))


def test_fine_tuning_with_too_few_labels_leaves_the_encoder(partly, quick):
    X, labels, _ = partly
    tuned, frozen = (SemiSupervisedClassifier(quick(), fine_tune=t).fit(X, labels) for t in (True, False))
    assert_array_equal(tuned.predict_proba(X), frozen.predict_proba(X))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_frozen_classifier_minimises_the_loss_of_the_head(table, quick, n_classes):
    X, y = (part[table[1] < n_classes] for part in table)
    model = quick().fit(X).model_
    frozen = fit_recommended(model.transform(X), y).set_params(tol=1e-8).fit(model.transform(X), y)
    framework = PenalizedHead(model.encoder, model, frozen, len(X)).train()
    assert not any(module.training for module in framework.encoder.modules())
    x, groups = model.read(X)[np.arange(len(X))], torch.from_numpy(y)
    np.testing.assert_allclose(
        framework.logits(x).softmax(1).detach(), frozen.predict_proba(model.transform(X)), atol=1e-5
    )
    framework([x], groups).backward()
    assert framework.head.weight.grad.abs().max() < 1e-4
    assert max(weight.grad.abs().max() for weight in model.encoder.parameters()) > 0


def test_the_default_classifier_is_that_of_the_linear_probe(table, quick):
    X, y = table[0] + np.random.default_rng(0).normal(scale=5, size=table[0].shape), table[1]
    labels = np.where(np.arange(60) < 40, y, -1)
    model = SemiSupervisedClassifier(quick()).fit(X, labels)
    Z = model.embedder_.transform(X)
    assert model.score(X[40:], y[40:]) == linear_probe(Z[:40], y[:40], Z[40:], y[40:])


ROWS = {
    "tabular": np.random.default_rng(0).normal(size=(30, 4)),
    "series": [np.random.default_rng(i).normal(size=(1, 12 + i)).cumsum(1) for i in range(30)],
    "image": np.random.default_rng(0).integers(0, 256, size=(30, 8, 8, 3), dtype=np.uint8),
    "audio": [np.random.default_rng(i).normal(size=800 + 10 * i).astype(np.float32) for i in range(30)],
    "text": [" ".join(np.random.default_rng(i).choice(["red", "green", "round", "big"], size=5)) for i in range(30)],
}


@pytest.mark.parametrize("kind", ROWS)
def test_every_modality_is_fine_tuned_saved_and_pickled(kind, quick, tmp_path, monkeypatch):
    monkeypatch.setattr("skclr.fine_tuning._choose_parts", lambda *arguments: 1)
    params = {"modality_params": {"sampling_rate": 1_000, "n_mels": 4}} if kind == "audio" else {"modality": kind}
    params |= {"encoder": "auto", "max_epochs": 1}
    # Too few labels to choose C by cross-validation, which takes most of the time.
    X, y = ROWS[kind], np.where(np.arange(30) < 8, np.arange(30) % 2, -1)
    model = SemiSupervisedClassifier(quick(**params), fine_tune=True).fit(X, y)
    frozen = SemiSupervisedClassifier(quick(**params)).fit(X, y)
    stays = model.embedder_.model_.n_learned == 0 or issparse(model.embedder_.transform(X))
    assert np.array_equal(model.predict_proba(X), frozen.predict_proba(X)) == stays
    assert_array_equal(clone(model).fit(X, y).predict_proba(X), model.predict_proba(X))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    model.embedder_.save(tmp_path / "tuned.skclr")
    loaded, features = load(tmp_path / "tuned.skclr").transform(X), model.embedder_.transform(X)
    assert_array_equal(*(part.toarray() if issparse(part) else part for part in (loaded, features)))


def test_fine_tuning_takes_what_the_embedder_takes(digits, partly, quick):
    X, y = digits
    tuned = SemiSupervisedClassifier(quick(encoder_params={"width": 8}), fine_tune=True).fit(X[:40], y[:40])
    assert not hasattr(tuned, "n_features_in_")  # images have no columns
    X, labels, _ = partly
    frame = pd.DataFrame(X, columns=list("abcde"))
    tuned = SemiSupervisedClassifier(quick(), fine_tune=True).fit(frame, labels)
    assert list(tuned.feature_names_in_) == list(frame)
    tuned.predict(frame)


def test_images_and_names_of_classes(digits, quick):
    X, y = digits
    names = np.array([f"digit {i}" for i in y], dtype=object)
    names[50:] = -1
    model = SemiSupervisedClassifier(quick(positives="labels")).fit(X, names)
    assert set(model.predict(X)) <= {f"digit {i}" for i in range(10)}


def test_data_frames(partly, quick):
    X, labels, _ = partly
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = SemiSupervisedClassifier(quick()).fit(frame, pd.Series(labels))
    assert list(model.feature_names_in_) == list("abcde")
    assert_array_equal(model.predict(frame), SemiSupervisedClassifier(quick()).fit(X, labels).predict(X))


def test_methods_follow_the_classifier():
    assert hasattr(SemiSupervisedClassifier(classifier=LogisticRegression()), "predict_proba")
    assert not hasattr(SemiSupervisedClassifier(classifier=LinearSVC()), "predict_proba")
    assert hasattr(SemiSupervisedClassifier(classifier=LinearSVC()), "decision_function")
    assert not hasattr(SemiSupervisedClassifier(classifier=LinearRegression()), "decision_function")


@pytest.mark.parametrize("labels", [np.full(60, -1), np.where(np.arange(60) < 5, 1, np.nan)])
def test_too_few_classes(table, quick, labels):
    with pytest.raises(ValueError, match=r"y has labels of [01] class\(es\)"):
        SemiSupervisedClassifier(quick()).fit(table[0], labels)


def test_a_grid_reaches_the_embedder():
    model = SemiSupervisedClassifier(ContrastiveEmbedder()).set_params(embedder__loss__temperature=0.2)
    assert model.embedder.loss_params == {"temperature": 0.2}
