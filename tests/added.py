"""What docs/adding.rst adds is fitted by its name, saved and loaded; tests/test_adding.py runs this with it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import skclr
from skclr import ContrastiveEmbedder, load
from skclr.plotting import ViewsDisplay

X = np.random.default_rng(0).poisson(3.0, (40, 6)).astype(float)
ADDED = [
    {"framework": "decorrelation", "framework_params": {"decorrelation_weight": 0.1}},
    {"loss": "multi_similarity", "loss_params": {"base": 0.4}},
    {"encoder": "periodic", "encoder_params": {"n_frequencies": 4}, "modality_params": {"categorical_features": [0]}},
    {"views": "cutmix", "views_params": {"rate": 0.5}},
    {"modality": "counts"},
    {"largest_gradient": 1e-3, "optimizer": "sgd"},
]


def fit(**parameters):
    return ContrastiveEmbedder(max_epochs=2, random_state=0, **parameters).fit(X)


def test_the_copy_is_what_is_imported():
    assert Path(skclr.__file__).parents[1] == Path.cwd()


@pytest.mark.parametrize("parameters", ADDED, ids=lambda parameters: next(iter(parameters)))
def test_fitted_saved_and_loaded(parameters, tmp_path):
    embedder = fit(**parameters)
    embedder.save(tmp_path / "model.skclr")
    loaded = load(tmp_path / "model.skclr")
    assert_array_equal(loaded.transform(X), embedder.transform(X))
    assert {name: loaded.get_params()[name] for name in parameters} == parameters


def test_the_encoder_received_the_fact_that_it_declares():
    columns = fit(**ADDED[2]).encoder_.network.columns
    assert columns.cardinalities == (len(set(X[:, 0])), *[0] * 5)


def test_counts_are_read_refused_and_drawn():
    embedder = fit(modality="counts")
    assert embedder.modality_ == "counts"
    with pytest.raises(ValueError, match=r"X holds -1, which is not a count"):
        embedder.transform(-X.clip(1, 1))
    ViewsDisplay.from_estimator(embedder, X, n_samples=2)


def test_an_option_is_checked_planned_and_used():
    free, held = fit(optimizer="sgd"), fit(optimizer="sgd", largest_gradient=1e-9)
    assert free.loss_curve_[1] != held.loss_curve_[1]
    assert "largest_gradient=1e-09" in repr(held.model_.plan)
    with pytest.raises(ValueError, match="largest_gradient=0: pass None or a number above 0"):
        fit(largest_gradient=0)
