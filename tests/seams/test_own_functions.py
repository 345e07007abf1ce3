"""Functions of the user's own that return the wrong thing, and parts that a modality's samples do not suit."""

import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

import skclr
from skclr import ContrastiveEmbedder
from skclr.evaluation import knn_probe, linear_probe
from skclr.frameworks import FRAMEWORKS
from skclr.views import VIEWS

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 6))
SAMPLES = {
    "tabular": X,
    "image": rng.integers(0, 255, (8, 12, 10, 3), dtype=np.uint8),
    "series": rng.normal(size=(8, 2, 32)),
    "audio": (rng.normal(size=(8, 800)) * 999).astype(np.int16),
    "text": [f"a red rose {i % 5} is not blue" for i in range(8)],
}


def fit(X, **params):
    return ContrastiveEmbedder(max_epochs=1, random_state=0, **params).fit(X)


@pytest.mark.parametrize(
    "function",
    [lambda x: None, lambda x: x.numpy(), lambda x: x[:3], lambda x: x.sum(), lambda x: [x, x]],
    ids=["None", "array", "fewer rows", "number", "list"],
)
def test_a_view_function_returns_a_view_of_each_sample(function):
    with pytest.raises((TypeError, ValueError), match="views= returned"):
        fit(X, views=function)


@pytest.mark.parametrize(
    "loss",
    [lambda a, *_: "x", lambda a, *_: None, lambda a, *_: a.sum(1), lambda a, *_: a.sum().item()],
    ids=["text", "None", "vector", "float"],
)
def test_a_loss_function_returns_one_number_in_a_tensor(loss):
    with pytest.raises(TypeError, match="as the loss"):
        fit(X, loss=loss)


def test_a_loss_has_to_depend_on_the_embeddings():
    with pytest.raises(ValueError, match="does not depend on the embeddings"):
        fit(X, loss=lambda *_: torch.tensor(1.0))


@pytest.mark.parametrize("views", [name for name in VIEWS if name != "paired"])
@pytest.mark.parametrize("modality", SAMPLES)
def test_views_change_samples_of_a_modality_or_refuse_them(modality, views):
    params = {"sampling_rate": 1_000} if modality == "audio" else None
    refusal = None
    try:
        fitted = fit(SAMPLES[modality], views=views, modality=modality, modality_params=params)
    except ValueError as error:
        refusal = error
    if refusal is None:
        assert np.isfinite(fitted.loss_curve_).all()
    else:
        # Our own error, not one of torch about shapes.
        assert "skclr/views" in traceback.extract_tb(refusal.__traceback__)[-1].filename
        assert views not in (modality, "neighbors")


@pytest.mark.parametrize(
    "wrong",
    [{"verbose": "a"}, {"verbose": -1}, {"random_state": "abc"}, {"random_state": -1}, {"random_state": 2**32}],
    ids=str,
)
def test_verbose_and_random_state_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}="):
        ContrastiveEmbedder(max_epochs=0, **wrong).fit(X)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_hidden_layer_has_units(framework):
    with pytest.raises(ValueError, match="hidden_dim"):
        fit(X, framework=framework, framework_params={"hidden_dim": 0})


@pytest.mark.parametrize("probe", [linear_probe, knn_probe])
@pytest.mark.parametrize("kind", ["S1", "datetime64[s]", "timedelta64[s]", object])
def test_labels_of_any_type_are_judged_as_their_codes(probe, kind):
    y = np.arange(20) % 2
    labels = y.astype(kind) if kind is not object else np.array([np.datetime64("2020-01-01") + int(v) for v in y])
    assert probe(X, labels, X, labels) == probe(X, y, X, y)


@pytest.mark.parametrize("name", ["missing.parquet", "missing", "missing.csv"])
@pytest.mark.parametrize("verb", ["fit", "transform", "score"])
def test_a_path_that_does_not_exist_is_named(name, verb):
    embedder = ContrastiveEmbedder(max_epochs=0, random_state=0).fit(X)
    with pytest.raises(FileNotFoundError, match=f"{name}' does not exist"):
        getattr(embedder, verb)(Path("/") / "nowhere" / name)


def test_one_file_says_how_to_read_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"pandas\.read_csv"):
        skclr.ContrastiveEmbedder().fit(path)
