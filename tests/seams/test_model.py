"""The model: what a fit has learned, as one value that does what the estimator does."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.callbacks import SUPPORT
from skclr.files import dumps
from skclr.fine_tuning import tune

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(40, 3))
INPUTS = {
    "tabular": TABLE,
    "frame": pd.DataFrame({"a": TABLE[:, 0], "kind": list("xyxz") * 10}),
    "image": RNG.integers(0, 255, (12, 8, 8), dtype=np.uint8),
    "series": RNG.normal(size=(12, 2, 20)),
    "text": [f"word{i} word{i % 7} and more" for i in range(20)],
}


def fitted(X, framework="simclr", **params):
    params = {"encoder_params": {"width": 16}, "max_epochs": 1, "random_state": 0, **params}
    return ContrastiveEmbedder(framework, **params).fit(X)


@pytest.fixture(scope="module")
def embedder():
    return fitted(TABLE)


@pytest.mark.parametrize("kind", INPUTS)
def test_the_verbs_are_the_estimator_s(kind, tmp_path):
    X = INPUTS[kind]
    embedder = fitted(X)
    model = embedder.model_
    features = embedder.transform(X)
    assert_array_equal(model.transform(X), features)
    samples = model.read(X)
    embedding = model.embed(samples)
    if model.balance is not None:
        embedding = model.balance(torch.from_numpy(embedding)).numpy()
    parts = [embedding, model.features(samples)] if model.plan.passthrough else [embedding]
    # The whole is computed in chunks, of which the last is padded.
    assert_allclose(np.hstack(parts), features, rtol=1e-4, atol=1e-4)
    assert features.shape == (len(X), model.n_features_out)
    for one, other in zip(model.views(X), embedder.make_views(X), strict=True):
        assert_array_equal(one, other)
    embedder.save(tmp_path / "model.skclr")
    assert_array_equal(skclr.load(tmp_path / "model.skclr").model_.transform(X), features)


def test_the_attributes_are_the_model_s(embedder):
    model = embedder.model_
    assert embedder.net_ is model.net
    assert embedder.encoder_ is model.encoder
    assert embedder.device_ == model.device
    assert embedder.history_ is model.net.history
    assert embedder.n_features_in_ == 3
    assert not hasattr(embedder, "feature_names_in_")
    assert vars(embedder).keys() - embedder.get_params(deep=False).keys() == {"model_"}


def test_the_estimator_has_scikit_learn_s_bases_alone():
    for estimator in (ContrastiveEmbedder, SemiSupervisedClassifier):
        bases = estimator.__mro__[1:-1]
        assert all(base.__module__.startswith("sklearn.") for base in bases)
        assert BaseEstimator in bases
    assert all(base in ContrastiveEmbedder.__mro__ for base in SUPPORT)


def test_a_model_is_frozen_and_holds_no_estimator(embedder):
    with pytest.raises(FrozenInstanceError):
        embedder.model_.net = None
    assert b"skclr.embedder" not in pickle.dumps(embedder.model_)


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.copy, copy.deepcopy])
def test_copies(copied, embedder):
    for whole in (embedder, embedder.model_):
        assert_array_equal(copied(whole).transform(TABLE), embedder.transform(TABLE))


def test_a_clone_has_no_model(embedder):
    assert not hasattr(clone(embedder), "model_")


def test_untrained_has_the_weights_that_training_began_with(embedder):
    before = embedder.transform(TABLE)
    untrained = embedder.model_.untrained()
    weights = fitted(TABLE, max_epochs=0).model_
    assert_array_equal(untrained.embed(untrained.read(TABLE)), weights.embed(weights.read(TABLE)))
    assert not np.array_equal(untrained.transform(TABLE), before)
    assert_array_equal(embedder.transform(TABLE), before)
    assert not untrained.net.history


def test_a_snapshot_stays_as_it_is(embedder):
    first = embedder.model_.snapshot()
    expected = embedder.transform(TABLE)
    again = fitted(TABLE, warm_start=True)
    snapshot = again.model_.snapshot()
    with torch.no_grad():
        for weight in again.encoder_.parameters():
            weight.zero_()
    assert_array_equal(snapshot.transform(TABLE), expected)
    assert_array_equal(first.transform(TABLE), expected)


def test_tuned_leaves_the_model_and_keeps_to_its_steps(embedder):
    codes = (TABLE[:, 0] > 0).astype(int)
    before = embedder.transform(TABLE)
    tuned, head = tune(embedder.model_, TABLE, codes)
    assert tuned.n_features_out == embedder.model_.n_features_out
    assert np.mean(head.predict(tuned.transform(TABLE)) == codes) > 0.9
    bare, _ = tune(embedder.model_, TABLE, codes, n_steps=0)
    assert bare is embedder.model_
    assert_array_equal(embedder.transform(TABLE), before)


def test_a_tuned_model_is_saved_and_pickled(tmp_path):
    model = SemiSupervisedClassifier(fitted(TABLE), fine_tune=True).fit(TABLE, (TABLE[:, 0] > 0).astype(int))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(TABLE), model.predict_proba(TABLE))
    model.embedder_.save(tmp_path / "tuned.skclr")
    loaded = skclr.load(tmp_path / "tuned.skclr")
    assert_array_equal(loaded.transform(TABLE), model.embedder_.transform(TABLE))


def test_a_device_moves_a_copy(embedder):
    model = embedder.model_
    assert model.to(model.device) is model
    moved = model.to(torch.device("meta"))
    assert (moved.device.type, moved.plan.device.type) == ("meta", "meta")
    assert (model.device.type, model.plan.device.type) == ("cpu", "cpu")


@pytest.mark.parametrize("fault", [{"X": TABLE[:1]}, {"X": TABLE, "groups": [1]}, {"X": np.full((9, 3), np.inf)}])
def test_a_fit_that_fails_leaves_the_model(fault):
    embedder = fitted(TABLE)
    model, names = embedder.model_, vars(embedder).keys()
    for fit in (embedder.fit, embedder.partial_fit):
        with pytest.raises(ValueError, match=r"X|groups"):
            fit(**fault)
    assert embedder.model_ is model
    assert vars(embedder).keys() == names


def test_threads_see_the_old_model_or_the_new():
    embedder = fitted(TABLE)
    allowed = [embedder.transform(TABLE), fitted(TABLE[:20], random_state=1).transform(TABLE)]
    done = threading.Event()

    def watch(_):
        while not done.is_set():
            seen = embedder.transform(TABLE)
            assert any(np.array_equal(seen, one) for one in allowed)

    with ThreadPoolExecutor(2) as pool:
        watching = pool.map(watch, range(2))
        embedder.set_params(random_state=1).fit(TABLE[:20])
        done.set()
        list(watching)
    assert_array_equal(embedder.transform(TABLE), allowed[1])


# -- dumps of other versions --------------------------------------------------------------------------


def test_a_dump_of_an_earlier_version_says_so():
    # joblib.dump of a fitted embedder, by the version before classes moved to other modules.
    with pytest.raises(ValueError, match=r"written by an earlier version of skclr.*save\(path\).*skclr\.load"):
        joblib.load(Path(__file__).parents[1] / "data" / "earlier-version.joblib")


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_a_pickle_of_another_version_is_refused(version, embedder, monkeypatch):
    monkeypatch.setattr(dumps, "__version__", version)
    raw = pickle.dumps(embedder)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"written by {'version 0.0.1' if version else 'an earlier version'} of skclr"):
        pickle.loads(raw)


def test_a_model_of_other_parameters_saves_both(embedder, tmp_path):
    changed = copy.copy(embedder).set_params(max_epochs=9)
    changed.save(tmp_path / "model.skclr")
    loaded = skclr.load(tmp_path / "model.skclr")
    assert (loaded.max_epochs, loaded.model_.plan.max_epochs) == (9, 1)
    assert replace(loaded.model_, n_samples=1).n_samples == 1
