"""scikit-learn's `set_output` and `transform_output` choose what users get, and change nothing inside."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, compare, diagnose
from skclr.evaluation import SCORERS, beside_baselines, label_efficiency, linear_probe, transfer_probe

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 4))
Y = (TABLE[:, 0] > 0).astype(int)
TEXTS = [" ".join(RNG.choice(["rose", "daisy", "tulip", "oak"], 3)) + " red" * y for y in Y]
DATA = {"tables": (TABLE, {}), "texts": (TEXTS, {}), "tokens": (TEXTS, {"modality_params": {"tokenizer": "words"}})}


def embedder(kind="tables"):
    return ContrastiveEmbedder(max_epochs=1, random_state=0, **DATA[kind][1])


def scores_of_compare(X, own):
    found = compare(X, Y, {"own": own}, ["PCA", "untrained encoder"], labels_per_class=(5,), n_draws=1, cv=2)
    return [record["scores"] for record in found.records]


def probabilities(X, own, **settings):
    return SemiSupervisedClassifier(own, **settings).fit(X, Y).predict_proba(X)


USES = {
    "baselines": lambda X, own: [linear_probe(a, Y, b, Y) for a, b in beside_baselines(own.fit(X), X, X).values()],
    "classifier": probabilities,
    "compare": scores_of_compare,
    "scorer": lambda X, own: SCORERS["uniformity"](own.fit(X), X),
    "transfer": lambda X, own: transfer_probe(own.fit(X), X, Y, X, Y),
    "tuned classifier": lambda X, own: probabilities(X, own, fine_tune=True),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("use", USES)
def test_a_container_changes_no_result(use, kind):
    X, _ = DATA[kind]
    expected = USES[use](X, embedder(kind))
    with config_context(transform_output="pandas"):
        assert_array_equal(USES[use](X, embedder(kind)), expected)
    if kind == "tables":
        assert_array_equal(USES[use](X, embedder().set_output(transform="polars")), expected)


def test_diagnose_does_not_depend_on_the_container():
    frame = pd.DataFrame(TABLE, columns=list("abcd")).assign(target=np.array(["a", "b"])[Y])
    own = embedder().fit(frame)
    with config_context(transform_output="pandas"):
        assert any("target" in finding.message for finding in diagnose(own, frame, Y))


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_probes_take_features_in_a_container(container):
    features = embedder().fit_transform(TABLE)
    in_container = embedder().set_output(transform=container).fit_transform(TABLE)
    assert linear_probe(in_container, Y, in_container, Y) == linear_probe(features, Y, features, Y)
    both = {"arrays": (features, features), "container": (in_container, in_container)}
    first, second = label_efficiency(both, Y, Y, (5,), n_draws=2)
    assert first["scores"] == second["scores"]


@pytest.mark.parametrize("kind", ["tables", "texts"])
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_displays_do_not_depend_on_the_container(container, kind):
    plt = pytest.importorskip("matplotlib.pyplot")
    from skclr.plotting import EmbeddingDisplay, NeighborsDisplay

    X, _ = DATA[kind]
    own = embedder(kind).fit(X)
    expected = [EmbeddingDisplay.from_estimator(own, X, method=method).points for method in ("pca", "tsne")]
    neighbors = NeighborsDisplay.from_estimator(own, X).similarities
    with config_context(transform_output=container):
        for method, points in zip(("pca", "tsne"), expected, strict=True):
            assert_array_equal(EmbeddingDisplay.from_estimator(own, X, method=method).points, points)
        assert_array_equal(NeighborsDisplay.from_estimator(own, X).similarities, neighbors)
    plt.close("all")
