"""What a modality has read, it can show again."""

import numpy as np
import pandas as pd
import pytest

from skclr.modalities import Audio, Image, Series, Tabular, Text
from skclr.model import InputFeatures


def there_and_back(modality, X):
    rows = modality.read(X, InputFeatures(), reset=True)
    return modality.restore(modality.to_tensor(rows[np.arange(rows.shape[0])]), X)


@pytest.mark.parametrize("layout", ["grey", "last", "first"])
def test_image(layout):
    X = np.random.default_rng(0).integers(
        0, 256, {"grey": (3, 5, 6), "last": (3, 5, 6, 3), "first": (3, 3, 5, 6)}[layout]
    )
    X = X.astype(np.uint8)
    expected = np.moveaxis(X, 1, -1) if layout == "first" else X
    np.testing.assert_allclose(there_and_back(Image(), X), expected / 255, rtol=1e-6)


def test_series_with_its_padding():
    series = [np.arange(8.0).reshape(2, 4), np.ones((2, 3))]
    restored = there_and_back(Series(), series)
    np.testing.assert_array_equal(restored[0], series[0])
    np.testing.assert_array_equal(restored[1, :, :3], series[1])
    assert np.isnan(restored[1, :, 3]).all()


def test_table_in_its_own_units():
    X = pd.DataFrame(
        {
            "weight": [226_802.0, 0.0, 39.0, np.nan],
            "share": [0.1, 0.25, 0.125, 0.5],
            "city": pd.Categorical(["Rome", "Oslo", None, "Rome"]),
        }
    )
    restored = there_and_back(Tabular(), X)
    np.testing.assert_array_equal(restored[:3, 0].astype(float), [226_802, 0, 39])
    assert np.isnan(restored[3, 0])
    np.testing.assert_allclose(restored[:, 1].astype(float), X["share"])
    assert restored[[0, 1, 3], 2].tolist() == ["Rome", "Oslo", "Rome"]
    assert pd.isna(restored[2, 2])


def test_audio_as_the_decibels_that_a_tone_has():
    time = np.arange(4_000) / 8_000
    X = np.stack([np.sin(2 * np.pi * pitch * time) for pitch in (500, 2_000)]).astype(np.float32)
    energy = there_and_back(Audio(sampling_rate=8_000, n_mels=32), X)
    assert energy.shape[1] == 32
    low, high = energy.mean(2).argmax(1)
    assert low < high
    # The loudest is 0, the rest is heard down to 60 dB below it.
    assert energy.max() == pytest.approx(0, abs=1e-3)
    assert energy.min() >= np.log(1e-6) - 1e-3


def test_text_and_what_a_view_has_left_of_it():
    X = ["The cat sat, twice!", "a dog", ""]
    modality = Text(tokenizer="words")
    rows = modality.read(X, InputFeatures(), reset=True)
    x = modality.to_tensor(rows[np.arange(3)])
    assert modality.restore(x, X) == [["the", "cat", "sat", ",", "twice", "!"], ["a", "dog"], []]
    view = x.clone()
    view[0, [0, 2]] = 0
    assert modality.restore(view, X)[0] == ["cat", ",", "twice", "!"]
