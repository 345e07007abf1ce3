"""A sample's numbers are the same bits alone, among others, in any order and block by block."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.data.ragged import Ragged
from skclr.encoders import ENCODERS

RNG = np.random.default_rng(0)
LENGTHS = RNG.permutation([3, 4, 5, 8, 11, 14, 15, 22, 33, 47])
WORDS = np.array(["a", "rose", "is", "no", "daisy", "but", "which", "red", "lily", "blooms", "now"])
RAGGED = {
    "series": ([RNG.normal(size=(2, n)).astype(np.float32) for n in LENGTHS], {}),
    "series_1d": ([RNG.normal(size=n) for n in LENGTHS], {}),
    "audio": ([RNG.normal(size=50 + 9 * n) for n in LENGTHS], {"sampling_rate": 1_000, "n_mels": 8}),
    "text": ([" ".join(RNG.choice(WORDS, n)) for n in LENGTHS], {"tokenizer": "words"}),
}
TAKES = {"series": ("tcn", "gru", "lstm", "series_transformer"), "audio": ("spectrogram",), "text": ()}
FIRST = ("tcn", "spectrogram", "text")
SMALL = {name: {"width": 16, "n_layers": 1} for name in ("series_transformer", "text_transformer")}
CASES = [
    (name, encoder)
    for name in RAGGED
    for encoder in TAKES[name.split("_")[0]] or [e for e in ENCODERS if e.startswith("text")]
]


def fitted(name, encoder="auto", X=None, **params):
    samples, modality_params = RAGGED[name]
    embedder = ContrastiveEmbedder(
        modality=name.split("_")[0],
        modality_params=modality_params,
        encoder=encoder,
        encoder_params=SMALL.get(encoder, {"width": 16}) if encoder in ENCODERS else None,
        # Plain features are the same next to every encoder.
        **{"max_epochs": 0, "passthrough": encoder in FIRST, "random_state": 0, **params},
    )
    return embedder.fit(samples if X is None else X)


@pytest.mark.parametrize(
    ("name", "encoder", "fitted_on"),
    [*((*case, "all") for case in CASES), *((*case, "short ones") for case in CASES if case[0] == "series")],
)
def test_samples_of_unequal_lengths(name, encoder, fitted_on, tmp_path):
    X, _ = RAGGED[name]
    embedder = fitted(
        name, encoder, X if fitted_on == "all" else [x for x, n in zip(X, LENGTHS, strict=True) if n < 15]
    )
    together = embedder.transform(X)
    assert np.isfinite(together).all()
    alone = [row for row, x in enumerate(X) if (embedder.transform([x])[0] != together[row]).any()]
    assert alone == []
    order = RNG.permutation(len(X))
    assert_array_equal(embedder.transform([X[row] for row in order]), together[order])
    assert_array_equal(embedder.transform(X[5:9]), together[5:9])
    assert_array_equal(embedder.transform_to(tmp_path / "z.npy", X), together)


def test_the_length_of_padding_follows_from_the_sample_alone():
    modality = fitted("series", "tcn", RAGGED["series"][0][:20]).model_.modality
    _, longest = modality.shape_
    few, many = np.array([3, longest, longest + 1, 999]), np.arange(1, 1_000)
    padded = modality.padded_lengths(many)
    assert_array_equal(modality.padded_lengths(few), padded[few - 1])
    assert (padded[:longest] == longest).all()
    assert (padded >= many).all()
    # Few lengths, and little padding beyond that of fit.
    assert len(np.unique(padded)) < 25
    assert (padded[longest:] < 1.25 * many[longest:] + 1).all()


def test_a_network_that_knows_nothing_of_gaps_is_shown_none():
    network = nn.Sequential(nn.Conv1d(2, 3, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    embedder = fitted("series", network, RNG.normal(size=(6, 2, 12)))
    X = [x for x in RAGGED["series"][0] if x.shape[1] > 3]
    z = embedder.transform(X)
    assert np.isfinite(z).all()
    assert_array_equal(z[7], embedder.transform(X[7][None])[0])


@pytest.mark.parametrize("encoder", ["mlp", "tcn"])
def test_series_as_long_as_those_of_fit_are_the_array_of_them(encoder):
    X = RNG.normal(size=(6, 2, 12))
    z = fitted("series", encoder, X).transform(X)
    assert_array_equal(fitted("series", encoder, X).transform(list(X)), z)


def test_a_fixed_length_network_takes_shorter_series():
    X = RAGGED["series"][0]
    embedder = fitted("series", "mlp", X)
    assert_array_equal(embedder.transform(X[:1]), embedder.transform(X)[:1])


def test_padding_to_another_length_shares_the_values():
    ragged = Ragged.of([np.ones((2, 1)), np.ones((5, 1))], 5, np.nan)
    longer = ragged.padded_to(8)
    assert longer.shape == (2, 8, 1)
    assert ragged.shape == (2, 5, 1)
    assert np.shares_memory(longer.values, ragged.values)
