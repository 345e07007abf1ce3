"""Injected failures are named, and a healthy fit has no finding."""

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skclr import ContrastiveEmbedder, diagnose
from skclr.evaluation.diagnosis import CHECKS


@pytest.fixture(scope="module")
def waves():
    """Series of three frequencies at random phase, which no linear classifier tells apart, and the frequencies."""
    rng = np.random.default_rng(0)
    y = np.arange(180) % 3
    phase = rng.uniform(0, 2 * np.pi, size=(180, 1))
    X = np.sin((2 + y[:, None]) * np.linspace(0, 2 * np.pi, 48) + phase) + rng.normal(scale=1.2, size=(180, 48))
    return X[:, None].astype(np.float32), y


@pytest.fixture
def names(quick):
    """Return the names of the findings after a quick fit."""

    def find(X, y=None, X_test=None, **params):
        findings = diagnose(quick(**params).fit(X), X, y, X_test=X_test)
        assert all(finding.message.endswith(".") for finding in findings)
        return [finding.name for finding in findings]

    return find


def few(y):
    """Return y with seven labels per class: too few to choose C by cross-validation, which takes most of the time."""
    kept = np.concatenate([np.flatnonzero(y == c)[:7] for c in np.unique(y)])
    return np.where(np.isin(np.arange(len(y)), kept), y, -1)


class Constant(nn.Module):
    """An encoder with one output."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 4)

    def forward(self, x):
        return self.layer(0 * x[:, :1])


class Squeeze(Callback):
    """Leaves one direction of the last layer's."""

    def on_train_end(self, net, **kwargs):
        layer = net.module_.encoder.network
        with torch.no_grad():
            layer.weight[1:] = layer.weight[0]


def noise(x):
    return torch.randn_like(x)


def unchanged(x):
    return x


def test_a_healthy_fit_has_no_finding(waves):
    X, y = waves
    embedder = ContrastiveEmbedder(max_epochs=24, batch_size=90, random_state=0).fit(X)
    assert diagnose(embedder, X, y, X_test=X[:60] + 1) == []
    assert diagnose(embedder, X) == []


def test_a_collapsed_encoder(table, names):
    found = names(table[0], encoder=Constant(), passthrough=False, max_epochs=4)
    assert {"collapsed encoder", "loss never fell"} <= set(found)
    assert "dimensional collapse" not in found  # it has its name


def test_a_dimensional_collapse(names):
    X = np.random.default_rng(0).normal(size=(60, 20))
    assert "dimensional collapse" not in names(X, encoder=nn.Linear(20, 32))
    assert "dimensional collapse" in names(X, encoder=nn.Linear(20, 32), callbacks=[Squeeze()])


def test_views_that_destroy_the_signal(table, names):
    assert "views destroy the signal" in names(table[0], views=noise)
    assert "views destroy the signal" not in names(table[0])


def test_views_that_change_nothing(table, names):
    assert "views change nothing" in names(table[0], views=unchanged)
    assert "views change nothing" not in names(table[0])


def test_labels_that_leak(table, names):
    X, y = table
    X = np.random.default_rng(0).normal(size=X.shape)
    labels = few(y)
    assert "labels leak" not in names(X, labels)
    assert "labels leak" in names(np.column_stack([X, 3.5 - y]), labels)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(ward=np.array(["north", "east", "west"])[y])
    found = diagnose(ContrastiveEmbedder(max_epochs=1).fit(frame), frame, labels)
    [leak] = [finding for finding in found if finding.name == "labels leak"]
    assert "'ward'" in leak.message


def test_test_samples_that_were_trained_on(table, names):
    X, _ = table
    assert "test samples in training" in names(X, X_test=np.concatenate([X[:5], X[:20] + 0.1]))
    assert "test samples in training" not in names(X, X_test=X + 0.1)


def test_a_batch_too_small(table, names):
    assert "small batch" in names(table[0], batch_size=8)
    assert "small batch" not in names(table[0], batch_size=32)


def test_an_embedding_no_better_than_raw_features(table, names):
    # Three clusters: a linear classifier needs no help.
    assert "no better than baselines" in names(*table)
    assert "no better than baselines" not in names(*table, max_epochs=0)


def test_rows_from_which_too_little_was_learned(names):
    noise = np.random.default_rng(0).normal(size=(20, 1, 30))
    assert "too little learned" in names(noise, encoder="on_features")
    # The embedding is not in transform: nothing is compared.
    assert "no better than baselines" not in names(noise, np.arange(20) % 2, encoder="on_features")
    assert "too little learned" not in names(noise, encoder="on_features", passthrough=False)


def test_pairs_are_looked_at_as_fit_took_them(table, names):
    X, y = table[0], few(table[1])
    assert "small batch" in names((X, X + 0.1), y, batch_size=8)
    assert "small batch" in names(np.stack([X, X + 0.1], 1), y, views="paired", batch_size=8)


def test_one_class_leads_to_no_finding(table, names):
    X, y = table
    assert names(X, np.zeros(len(X))) == names(X)
    with pytest.raises(ValueError, match="y has 59"):
        names(X, y[1:])


def test_every_check_is_tested_here():
    assert list(CHECKS) == [
        "collapsed encoder",
        "dimensional collapse",
        "views destroy the signal",
        "views change nothing",
        "labels leak",
        "constant columns",
        "test samples in training",
        "small batch",
        "loss never fell",
        "too little learned",
        "no better than baselines",
    ]
