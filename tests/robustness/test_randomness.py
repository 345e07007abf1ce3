"""A seed alone decides: torch's global generators change nothing, and are not changed."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_array_equal
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import skclr
from skclr.encoders import ENCODERS, Preprocessed
from skclr.encoders.dropout import Dropout, TransformerLayer
from skclr.frameworks import FRAMEWORKS
from skclr.randomness import draw_seed
from skclr.training.chunks import in_chunks
from skclr.training.draws import StepDraws

TEXTS = [f"word{i} word{i % 7} and more" for i in range(30)]
SERIES = np.random.default_rng(0).normal(size=(12, 2, 40)).astype(np.float32)
SOUNDS = np.random.default_rng(0).normal(size=(12, 4_000)).astype(np.float32)
# Encoders of other packages draw as modules of the user's own do, below; larger ResNets are the smallest's code.
OURS = [name for name in ENCODERS if name not in ("timm", "sentence_transformer", "resnet34", "resnet50")]


class DrawsBetween(TorchDispatchMode):
    """A thread that draws from torch's global generator, as it may come between any two operations."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        self.drawn.append(torch.rand(1).item())
        return op(*args, **(kwargs or {}))


def data_for(encoder, table, digits):
    """Return X and the parameters with which it suits an encoder."""
    X = {"residual_mlp": table[0], "mlp": table[0], "feature_transformer": table[0]}
    X |= {"text": TEXTS, "text_transformer": TEXTS, "spectrogram": SOUNDS}
    X |= dict.fromkeys(("tcn", "gru", "lstm", "series_transformer"), SERIES)
    params = {"modality_params": {"sampling_rate": 8_000}} if encoder == "spectrogram" else {}
    return X.get(encoder, digits[0][:, :4, :4]), params


def check_undisturbed(embedder, X):
    """Check that a fit neither reads nor changes the global generators; return the embeddings."""
    alone = embedder.fit(X).transform(X)
    torch.manual_seed(5)
    with DrawsBetween() as between:
        disturbed = embedder.fit(X).transform(X)
    assert_array_equal(disturbed, alone)
    torch.manual_seed(5)
    assert len(between.drawn) > 100
    assert between.drawn == [torch.rand(1).item() for _ in between.drawn]
    return alone


@pytest.mark.parametrize("encoder", OURS)
def test_draws_between_two_operations_change_no_encoder(encoder, table, digits, quick):
    X, params = data_for(encoder, table, digits)
    check_undisturbed(quick(encoder=encoder, max_epochs=1, batch_size=4, **params), X[:8])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_draws_between_two_operations_change_no_framework(framework, table, quick):
    check_undisturbed(quick(framework, max_epochs=1), table[0][:20])


@pytest.mark.parametrize("encoder", ["text", "text_transformer"])
def test_dropout_is_on_and_drawn_again_where_chunks_are_recomputed(encoder, quick):
    params = {"encoder": encoder, "batch_size": 10, "precision": "float32"}
    chunked = check_undisturbed(quick(**params, chunk_size=4), TEXTS)
    without = quick(**params, encoder_params={"dropout": 0.0}).fit(TEXTS).transform(TEXTS)
    assert not np.array_equal(chunked, without)


def test_weights_are_those_of_the_global_generator_seeded_alike(table, quick):
    class Own(nn.Linear):
        def __init__(self, input_shape):
            super().__init__(*input_shape, 8)

    encoder = quick(encoder=Own, max_epochs=0).fit(table[0]).encoder_
    torch.manual_seed(draw_seed(0))
    assert torch.equal(encoder.network.weight, Own((5,)).weight)


@pytest.mark.parametrize("draw", [torch.rand_like, lambda x: F.dropout(x, 0.2), lambda x: x[torch.randperm(len(x))]])
def test_views_of_a_function_of_your_own_draw_by_the_seed(draw, table, quick):
    check_undisturbed(quick(views=lambda x: x + draw(x), max_epochs=1), table[0])


def test_threads_that_draw_and_seed(table, quick):
    embedder = quick(max_epochs=1, batch_size=30)
    alone = embedder.fit(table[0]).transform(table[0])
    done = threading.Event()

    def draw():
        while not done.is_set():
            torch.rand(3)
            torch.manual_seed(1)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            assert_array_equal(embedder.fit(table[0]).transform(table[0]), alone)
    finally:
        done.set()
        thread.join()


def test_draws_of_another_thread_are_its_own(quick):
    embedder = quick(encoder="text_transformer", batch_size=10)
    thread = threading.Thread(target=embedder.fit, args=(TEXTS,))
    torch.manual_seed(5)
    expected = [torch.rand(1).item() for _ in range(2_000)]
    torch.manual_seed(5)
    thread.start()
    drawn = [torch.rand(1).item() for _ in expected]
    thread.join()
    assert drawn == expected


@pytest.mark.parametrize("name", ["numpy", "random"])
def test_other_global_generators_are_not_used(name, table, quick):
    state = {"numpy": np.random.get_state, "random": random.getstate}[name]
    seed = {"numpy": np.random.seed, "random": random.seed}[name]
    seed(0)
    alone = quick().fit_transform(table[0])
    seed(1)
    before = repr(state())
    assert_array_equal(quick().fit_transform(table[0]), alone)
    assert repr(state()) == before


def test_load_draws_nothing(table, quick, tmp_path):
    class Own(nn.Linear):
        def __init__(self, input_shape):
            super().__init__(*input_shape, 8)

    quick(encoder=Own).fit(table[0]).save(tmp_path / "model.skclr")
    before = torch.get_rng_state()
    skclr.load(tmp_path / "model.skclr", encoder=Own, encoder_params={})
    assert torch.equal(torch.get_rng_state(), before)


# -- modules that draw from the global generator --------------------------------------------------


class Functional(nn.Module):
    """Draws in its forward pass by a function."""

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(80, 8)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x.flatten(1)), self.training)


class Layer(nn.Module):
    """Ends in a layer that takes (B, T, C)."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        x = x.mT
        y = self.layer(x, x, x) if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)
        return y[0][:, -1]


DRAWING = {
    "functional dropout": lambda: Functional(lambda x, training: F.dropout(x, 0.2, training)),
    "noise": lambda: Functional(lambda x, training: x + 0.1 * torch.randn_like(x) if training else x),
    "stochastic depth": lambda: Functional(lambda x, training: 2 * x if training and torch.rand(()) < 0.5 else x),
    "Dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(80, 8), nn.Dropout(0.2)),
    "GRU": lambda: Layer(nn.GRU(2, 8, 2, dropout=0.2, batch_first=True)),
    "LSTM": lambda: Layer(nn.LSTM(2, 8, 2, dropout=0.2, batch_first=True)),
    "MultiheadAttention": lambda: Layer(nn.MultiheadAttention(2, 1, dropout=0.2, batch_first=True)),
}


@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("kind", DRAWING)
def test_a_module_that_draws_by_itself_draws_by_the_seed(kind, chunk_size, quick):
    embedder = quick(encoder=DRAWING[kind](), batch_size=6, chunk_size=chunk_size, precision="float32")
    torch.manual_seed(1)
    alone = embedder.fit(SERIES).transform(SERIES)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert_array_equal(embedder.fit(SERIES).transform(SERIES), alone)
    assert torch.equal(torch.get_rng_state(), before)
    other = embedder.set_params(random_state=1).fit(SERIES).transform(SERIES)
    assert not np.array_equal(other, alone)


def test_fits_at_once_draw_as_alone(quick):
    """Torch has one global generator for all threads."""
    modules = {kind: make() for kind, make in DRAWING.items()}
    params = {"batch_size": 6, "max_epochs": 3, "precision": "float32"}

    def fit(kind):
        return quick(encoder=modules[kind], **params).fit(SERIES).transform(SERIES)

    before = torch.get_rng_state()
    alone = {kind: fit(kind) for kind in modules}
    with ThreadPoolExecutor(len(modules)) as pool:
        for kind, together in zip(modules, pool.map(fit, modules), strict=True):
            assert_array_equal(together, alone[kind])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dropout", [Dropout, nn.Dropout])
def test_a_recomputed_chunk_draws_what_it_drew(dropout):
    torch.manual_seed(0)
    encoder = Preprocessed(
        nn.Identity(), nn.Sequential(nn.Linear(5, 8), dropout(0.5), nn.Linear(8, 8)), torch.zeros(2, 5)
    )
    x, draws = torch.randn(12, 5), StepDraws(torch.device("cpu"))

    def gradients(chunk_size):
        encoder.zero_grad()
        chunks = in_chunks(encoder, chunk_size, draws) if chunk_size else nullcontext()
        with chunks, draws.used_by(encoder):
            with draws.seeded(1):
                z = torch.cat([encoder(part) for part in x.split(4)]) if chunk_size is None else encoder(x)
            z.square().sum().backward()
        return [parameter.grad.clone() for parameter in encoder.parameters()]

    # In the step that notices the draws, and in one after it.
    first, second, expected = gradients(4), gradients(4), gradients(None)
    for grads in zip(first, second, expected, strict=True):
        assert torch.equal(grads[0], grads[2])
        assert torch.equal(grads[1], grads[2])


def test_only_the_generator_of_the_nets_own_device_is_seeded(monkeypatch, quick):
    touched = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    for name in ("get_rng_state", "set_rng_state", "manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda *args, name=name: touched.append(name))
    monkeypatch.setattr(torch, "manual_seed", lambda seed: touched.append("torch.manual_seed"))
    quick(encoder=DRAWING["GRU"](), batch_size=10, device="cpu").fit(SERIES)
    assert touched == []


# -- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [False, True])
def test_a_transformer_layer_gives_the_numbers_of_torchs(padded):
    ours = TransformerLayer(16, 2, 32, 0.1)
    torchs = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True, norm_first=True)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 7, 16)
    padding = torch.zeros(3, 7).index_fill(1, torch.tensor([5, 6]), -torch.inf) if padded else None
    draws = StepDraws(torch.device("cpu"))
    for mode in (True, False):
        torch.manual_seed(1)
        expected = torchs.train(mode)(x, src_key_padding_mask=padding)
        draws.generator.manual_seed(1)
        with draws.used_by(ours):
            torch.testing.assert_close(ours.train(mode)(x, src_key_padding_mask=padding), expected)
