"""What a second `fit` or `partial_fit` makes of changed parameters and of single rows: it acts on them or refuses."""

import inspect
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.losses import NTXent

N = 24
X = np.random.default_rng(0).normal(size=(N, 4))
Y = np.arange(N) % 3


class Doubled(Callback):
    """Double the loss's gradient, so that it is seen in the weights."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for _, parameter in named_parameters:
            parameter.grad.mul_(-1)


SMALL = {"encoder": "mlp", "encoder_params": {"width": 8, "n_layers": 1}, "random_state": 0}
SMALL |= {
    "batch_size": 8,
    "max_epochs": 2,
    "optimizer": "adamw",
    "views": "corruption",
    "learning_rate": 1e-2,
    "precision": "float32",
}

# Another value of each parameter.
CHANGED = {
    "framework": "byol",
    "loss": NTXent(temperature=0.05),
    "encoder": nn.Sequential(nn.Linear(4, 8), nn.ReLU()),
    "views": "masking",
    "modality": "series",
    "positives": "labels",
    "modality_params": {"max_categories": 5},
    "framework_params": {"hidden_dim": 16},
    "loss_params": {"temperature": 0.05},
    "encoder_params": {"width": 8, "n_layers": 1, "out_features": 8},
    "views_params": {"rate": 0.9},
    "optimizer_params": {"betas": (0.1, 0.2)},
    "freeze": "all",
    "projection_dim": 16,
    "max_epochs": 4,
    "batch_size": 12,
    "chunk_size": 4,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 0.5,
    "lr_schedule": "constant",
    "warmup_epochs": 1.5,
    "precision": "bfloat16",
    "validation_fraction": 0.5,
    "early_stopping": 1,
    "callbacks": [Doubled()],
    "net_params": {"train_split": None, "callbacks": None, "unheard_of": 1},
    "passthrough": False,
    "random_state": 1,
}
# Parameters that change no number, and why they cannot be checked.
INERT = {
    "device": "there is one device here",
    "compile": "the same numbers, faster",
    "checkpoint_dir": "the same numbers; partial_fit writes none, as its docstring says",
    "checkpoint_minutes": "when checkpoints are written",
    "on_interrupt": "what Ctrl-C does",
    "warm_start": "whether this is a second fit at all",
    "verbose": "what is printed",
}
# `partial_fit` is one epoch at the base rate by its definition, which its docstring states.
INERT_IN_A_STREAM = {"max_epochs": "one epoch a call", "lr_schedule": "the base rate", "warmup_epochs": "the base rate"}
INERT_IN_A_STREAM |= {"validation_fraction": "no samples are kept back"}


def outcome(embedder, call):
    """Go on training, and return the embedding, or None where that is refused."""
    before = {name: value.clone() for name, value in embedder.encoder_.state_dict().items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(embedder, call)(X, Y)
    except ValueError:
        for name, value in embedder.encoder_.state_dict().items():
            assert torch.equal(value, before[name])
        return None
    return embedder.transform(X)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_parameter_acts_or_raises(name, call):
    if call == "partial_fit" and name in INERT_IN_A_STREAM:
        pytest.skip(INERT_IN_A_STREAM[name])
    Z = [
        outcome(ContrastiveEmbedder(**SMALL, warm_start=True).fit(X, Y).set_params(**changes), call)
        for changes in ({}, {name: CHANGED[name]})
    ]
    assert Z[0] is not None
    assert Z[1] is None or Z[0].shape != Z[1].shape or (Z[0] != Z[1]).any()


def test_every_parameter_is_looked_at():
    parameters = set(inspect.signature(ContrastiveEmbedder).parameters)
    assert parameters == CHANGED.keys() | INERT.keys()
    assert not CHANGED.keys() & INERT.keys()


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ["modality", "modality_params", "encoder", "encoder_params"])
def test_what_only_a_first_fit_reads_is_refused_by_name(name, call):
    embedder = ContrastiveEmbedder(**SMALL, warm_start=True).fit(X).set_params(**{name: CHANGED[name]})
    with pytest.raises(ValueError, match=rf"{name}=.*last fit.*warm_start=False"):
        getattr(embedder, call)(X)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_dictionary_changed_in_place_is_seen(call):
    params = {"max_categories": 9}
    embedder = ContrastiveEmbedder(**SMALL, modality_params=params, warm_start=True).fit(X)
    params["max_categories"] = 5
    with pytest.raises(ValueError, match="modality_params="):
        getattr(embedder, call)(X)


def test_other_names_of_the_same_value_resume():
    embedder = ContrastiveEmbedder(**SMALL, warm_start=True).fit(X)
    embedder.set_params(modality="tabular", modality_params={}, encoder_params=dict(SMALL["encoder_params"])).fit(X)
    assert embedder.n_iter_ == 4


# -- single rows --------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
SAMPLES = {
    "tabular": (X, {}),
    "image": (RNG.random((N, 8, 8)), {"modality": "image"}),
    "series": (RNG.normal(size=(N, 2, 20)), {}),
    "audio": (RNG.normal(size=(N, 1000)), {"modality_params": {"sampling_rate": 8000}}),
    "text": ([f"a text of {i} and {i % 5}" for i in range(N)], {"modality_params": {"tokenizer": "words"}}),
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("modality", SAMPLES)
def test_one_row_has_nothing_to_contrast_with(modality, call):
    samples, params = SAMPLES[modality]
    embedder = ContrastiveEmbedder("byol", max_epochs=1, random_state=0, warm_start=True, **params).fit(samples)
    expected = embedder.transform(samples)
    with pytest.raises(ValueError, match="X has 1 sample"):
        getattr(embedder, call)(samples[:1])
    assert_array_equal(embedder.transform(samples), expected)
    # Two are a pair.
    assert np.isfinite(getattr(embedder, call)(samples[:2]).transform(samples[:1])).all()


@pytest.mark.parametrize("modality", SAMPLES)
@pytest.mark.parametrize("size", [1, 23])
def test_chunks_of_one_row_train_or_are_refused_before(modality, size):
    samples, params = SAMPLES[modality]
    embedder = ContrastiveEmbedder(max_epochs=1, random_state=0, chunk_size=size, **params)
    try:
        embedder.fit(samples)
    except ValueError as error:
        assert size == 1
        assert "chunk_size=1" in str(error)  # noqa: PT017
        assert not hasattr(embedder, "net_")
    else:
        assert np.isfinite(embedder.transform(samples)).all()


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("encoder", "other", "said"),
    [
        (nn.Linear(4, 8), nn.Linear(4, 8), "encoder=Linear is not the Linear of the last fit"),
        (nn.Linear(4, 8), "mlp", "encoder=MLP differs from Linear of the last fit"),
        ("fitted", "mlp", "encoder=MLP is not the MLP of the last fit"),
        ("fitted", "fitted", "encoder=MLP is not the MLP of the last fit"),
        ("fitted", "residual_mlp", "encoder=ResidualMLP differs from MLP of the last fit"),
    ],
)
def test_another_encoder_is_named_by_its_network(encoder, other, said, call):
    def given(value):
        return ContrastiveEmbedder(**SMALL).fit(X) if value == "fitted" else value

    params = {**SMALL, "encoder_params": None, "warm_start": True}
    embedder = ContrastiveEmbedder(**{**params, "encoder": given(encoder)}).fit(X).set_params(encoder=given(other))
    with pytest.raises(ValueError, match=said):
        getattr(embedder, call)(X)
