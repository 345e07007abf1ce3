from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import (
    check_classifiers_classes,
    check_classifiers_train,
    parametrize_with_checks,
)

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.fine_tuning import tune

NAMED_IN_SCIKIT_LEARN = {
    "check_classifiers_classes": "takes -1 for a class, but for the semi-supervised classifiers it knows by name"
}


def narrow(*, fine_tune):
    params = {"encoder": "mlp", "encoder_params": {"width": 32}, "max_epochs": 2, "random_state": 0}
    return SemiSupervisedClassifier(ContrastiveEmbedder(**params), fine_tune=fine_tune)


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


def test_fine_tuning_moves_the_encoder_and_keeps_the_scale(partly, quick):
    X, labels, _ = partly
    before = quick(passthrough=False).fit(X)
    model = SemiSupervisedClassifier(quick(), fine_tune=True).fit(X, labels)
    assert not np.array_equal(model.embedder_.transform(X), before.transform(X))
    assert_array_equal(model.embedder_.model_.modality.mean_, before.model_.modality.mean_)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_head_is_a_logistic_regression(partly, quick, n_classes):
    import torch

    X, labels, _ = partly
    labels = np.where(labels < n_classes, labels, -1)
    model = SemiSupervisedClassifier(quick(), fine_tune=True).fit(X, labels)
    framework = model.embedder_.net_.module_
    with torch.no_grad():
        expected = framework.logits(model.embedder_.model_.modality.to_tensor(X)).softmax(1)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-5)


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
    with pytest.raises(ValueError, match=r"y labels [01] class\(es\)"):
        SemiSupervisedClassifier(quick()).fit(table[0], labels)


def test_a_grid_reaches_the_embedder():
    model = SemiSupervisedClassifier(ContrastiveEmbedder()).set_params(embedder__loss__temperature=0.2)
    assert model.embedder.loss_params == {"temperature": 0.2}
