"""What a user gets wrong first, with every modality and with none chosen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.encoders import ENCODERS
from skclr.modalities.base import check_finite

RNG = np.random.default_rng(0)
CLIPS = [RNG.normal(size=900 + 100 * i) for i in range(6)]

# X and modality_params, with modality="auto".
NOT_CHOSEN = {
    "one_text": ("a text", {}, TypeError, r"X is one str.*Wrap it in a list"),
    "bytes": ([b"a", b"b"], {}, TypeError, "Row 0 of X is of type bytes.*decode"),
    "none_first": ([None, "a", "b"], {}, ValueError, r"missing value \(None\) in row 0. Fill it"),
    "nan_first": (pd.Series([np.nan, "a", "b"], dtype=object), {}, ValueError, r"missing value \(nan\) in row 0"),
    "one_path": (Path("a.png"), {}, FileNotFoundError, "X='a.png' does not exist"),
    "nothing": (None, {}, TypeError, "X is a NoneType. Pass an array"),
    "dict": ({"a": [1, 2]}, {}, TypeError, "X is a dict. Pass an array"),
    "rank_5": (np.zeros((2, 3, 4, 5, 6)), {}, ValueError, r"shape \(2, 3, 4, 5, 6\).*views='paired'"),
    "unequal": ([np.zeros(3), np.zeros(4)], {}, ValueError, "modality='series', or .*'sampling_rate'"),
    "unequal_ranks": ([np.zeros((2, 3)), np.zeros(4)], {}, ValueError, "samples of 1, 2 dimensions"),
    "kilohertz": (CLIPS, {"sampling_rate": 16}, ValueError, r"sampling_rate=16 with .*frames.*16000 for 16 kHz"),
    "absurd_rate": (CLIPS, {"sampling_rate": 1e9}, ValueError, "sampling_rate=1000000000.0: use a number from 1 to"),
    "sound_files": (["a.wav", "b.wav"], {"sampling_rate": 8000}, TypeError, "clip 0 of X is 'a.wav'.*scipy.io.wavfile"),
    "missing_clip": ([CLIPS[0], None], {"sampling_rate": 8000}, TypeError, "clip 1 of X is None.*Pass arrays"),
}


@pytest.mark.parametrize("name", NOT_CHOSEN)
def test_mistakes_are_named_whatever_was_meant(name):
    X, params, error, message = NOT_CHOSEN[name]
    with pytest.raises(error, match=f"(?s){message}"):
        ContrastiveEmbedder(modality_params=params, max_epochs=0).fit(X)


@pytest.mark.parametrize("other", [np.zeros((9, 8)), None])
def test_images_of_two_sizes(other):
    with pytest.raises(ValueError, match=r"images of shapes .* in row 0 and .* in row 1. Resize them"):
        ContrastiveEmbedder(modality="image").fit([np.zeros((8, 8)), other])


@pytest.mark.parametrize(
    ("X", "single", "params"),
    [
        (RNG.random((6, 8, 8)), (8, 8), {"modality": "image"}),
        (RNG.random((6, 8, 8, 3)), (8, 8, 3), {}),
        (RNG.normal(size=(6, 2, 12)), (2, 12), {}),
        (RNG.normal(size=(6, 2000)), (2000,), {"modality_params": {"sampling_rate": 8000}}),
    ],
    ids=["grey", "colours", "series", "clip"],
)
def test_a_single_sample_raises_an_error_with_a_remedy(X, single, params):
    fitted = ContrastiveEmbedder(max_epochs=0, **params).fit(X)
    with pytest.raises(ValueError, match=r"X\[None\]"):
        fitted.transform(X[0].reshape(single))


def test_text_where_fit_saw_numbers():
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0], "weight": [4.0, 5.0, 6.0]})
    fitted = ContrastiveEmbedder(max_epochs=0).fit(frame)
    with pytest.raises(ValueError, match="'heavy' in row 1 of column 'weight'"):
        fitted.transform(frame.assign(weight=["4", "heavy", "6"]))


def test_labels_that_are_none():
    X = RNG.normal(size=(8, 3))
    with pytest.warns(UserWarning, match="y has no labels except -1"):
        ContrastiveEmbedder(positives="labels", max_epochs=0).fit(X, -np.ones(8, dtype=int))


# -- an encoder of another modality -------------------------------------------------------------------

SAMPLES = {
    "tabular": (RNG.normal(size=(6, 4)), {}),
    "image": (RNG.normal(size=(6, 8, 8)), {}),
    "series": (RNG.normal(size=(6, 2, 12)), {}),
    "audio": (CLIPS, {"sampling_rate": 8000}),
    "text": (["a cat", "a dog", "a bird"] * 2, {"tokenizer": "words"}),
}


def embedder(modality, **params):
    return ContrastiveEmbedder(modality=modality, modality_params=SAMPLES[modality][1], **{"max_epochs": 0, **params})


@pytest.mark.parametrize(
    ("modality", "encoder", "fitting"),
    [
        ("tabular", "conv", "mlp, residual_mlp, feature_transformer"),
        ("image", "tcn", "conv, resnet18"),
        ("image", "text", "conv, resnet18"),
        ("series", "resnet18", "tcn, gru, lstm, series_transformer"),
        ("audio", "gru", "spectrogram"),
        ("text", "mlp", "text, text_transformer, sentence_transformer"),
    ],
)
def test_an_encoder_of_other_samples_names_those_that_fit(modality, encoder, fitting):
    with pytest.raises(
        ValueError, match=rf"encoder='{encoder}' does not accept samples of shape .*Pass one of .*{fitting}"
    ):
        embedder(modality, encoder=encoder).fit(SAMPLES[modality][0])
    with pytest.raises(ValueError, match="does not accept samples of shape"):
        embedder(modality, encoder=ENCODERS[encoder]).fit(SAMPLES[modality][0])


def test_a_network_that_makes_nan_of_padding_says_so_before_training():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"encoder returns NaN for samples with NaN.*Use the default encoder"):
        embedder("audio", encoder=network).fit(CLIPS)


def test_a_network_that_knows_nothing_of_gaps_is_for_series_without():
    network = nn.Sequential(nn.Conv1d(2, 3, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    whole = SAMPLES["series"][0]
    gap = whole.copy()
    gap[3, 1, 4] = np.nan
    for X in (gap, [series[:, : 9 + i] for i, series in enumerate(whole)]):
        with pytest.raises(ValueError, match=r"or begin yours with torch\.nan_to_num"):
            embedder("series", encoder=network).fit(X)
    assert np.isfinite(embedder("series", encoder=network, max_epochs=1).fit_transform(whole)).all()


def test_views_of_another_size_than_the_network():
    with pytest.raises(ValueError, match=r"a sample or view has .* values, but the network expects"):
        embedder("audio", encoder="mlp", max_epochs=1).fit(CLIPS)


@pytest.mark.parametrize(("value", "words", "may_be_filled"), [(np.nan, "NaN", True), (-np.inf, "infinity", False)])
def test_what_is_not_finite_is_named_with_its_place_and_a_remedy(value, words, may_be_filled):
    table, images = np.ones((3, 4)), np.ones((3, 2, 2))
    table[1, 2] = images[1, 0, 1] = value
    for X, names, place in (
        (table, None, r"row 1, column 2\."),
        (table, list("abcd"), r"row 1, column 2 \('c'\)\."),
        (images, None, r"row 1, index \(0, 1\)\."),
    ):
        with pytest.raises(ValueError, match=f"contains {words} in {place} Fill or drop such values first") as raised:
            check_finite(X, names)
        # An imputer replaces NaN only.
        assert ("SimpleImputer" in str(raised.value)) == may_be_filled
    if may_be_filled:
        check_finite(table, allow_nan=True)
    else:
        with pytest.raises(ValueError, match="infinity"):
            check_finite(table, allow_nan=True)
