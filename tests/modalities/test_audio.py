import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.testing import assert_close

from skclr import ContrastiveEmbedder
from skclr.modalities import Audio
from skclr.modalities.audio import Clips
from skclr.model import InputFeatures

RATE = {"sampling_rate": 8000}


def read(X, **params):
    modality = Audio(**{**RATE, **params})
    return modality, modality.read(X, InputFeatures(), reset=True)


@pytest.fixture
def clips():
    """12 clips of int16 noise, 300 to 2,060 samples."""
    rng = np.random.default_rng(0)
    return [rng.integers(-9000, 9000, 300 + 160 * i, dtype=np.int16) for i in range(12)]


def tensor(X, **params):
    modality, rows = read(X, **params)
    return modality.to_tensor(rows[np.arange(len(rows))])


# -- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_integers_are_scaled_by_their_range(dtype):
    limits = np.iinfo(dtype)
    x = tensor(np.array([[limits.min, 0, limits.max], [0, 0, 0]], dtype))
    assert_close(x[0], torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(dtype):
    x = tensor(np.array([[0.5, -2.0], [0.25, 0.0]], dtype))
    assert_close(x, torch.tensor([[0.5, -2.0], [0.25, 0.0]]))


def test_clips_of_unequal_lengths_are_nan_after_their_end(clips):
    x = tensor(clips)
    assert x.shape == (12, 2060)
    assert (~x.isnan()).sum(1).tolist() == [len(clip) for clip in clips]
    # The least integer is a sample like any other, not a mark of padding.
    clips[0][5] = -32768
    assert tensor(clips)[0, 5] == -1


def test_sound_stays_in_its_dtype_and_arrays_are_not_copied():
    X = np.zeros((4, 500), np.int16)
    _, rows = read(X)
    assert np.shares_memory(rows.values, X)
    assert rows.values.dtype == np.int16


def test_every_way_to_give_clips_is_read_alike(clips):
    same = [clip[:300] for clip in clips]
    ragged = np.empty(12, object)
    ragged[:] = clips
    assert_close(tensor(np.stack(same)), tensor(same))
    assert_close(tensor(ragged), tensor(clips), equal_nan=True)
    assert_close(tensor(tuple(map(torch.from_numpy, clips))), tensor(clips), equal_nan=True)


def test_longer_clips_lose_their_end(clips):
    modality, _ = read(clips[:6])
    rows = modality.read(clips, InputFeatures(), reset=False)
    x = modality.to_tensor(rows[np.array([11])])
    assert x.shape == (1, len(clips[5]))
    assert_close(x[0].numpy(), clips[11][: x.shape[1]] / np.float32(32768))
    assert tensor(clips, max_seconds=0.1).shape == (12, 800)
    assert tensor(clips, max_seconds=10).shape == (12, 2060)


def test_clips_of_another_dtype_are_joined_at_one_scale(clips):
    modality, rows = read(clips)
    floats = [(clip / 32768).astype(np.float32) for clip in clips]
    more = modality.read(floats, InputFeatures(), reset=False)
    for joined in (modality.join(rows, rows), modality.join(rows, more), modality.join(more, rows)):
        assert len(joined) == 24
        first, second = (joined[np.arange(12) + start] for start in (0, 12))
        np.testing.assert_allclose(first, second, atol=1e-7)
        np.testing.assert_allclose(first, rows[np.arange(12)], atol=1e-7)
    assert modality.join(rows, rows).values.dtype == np.int16


def test_slices_keep_to_their_rows(clips):
    _, rows = read(clips)
    assert isinstance(rows, Clips)
    np.testing.assert_array_equal(rows[np.array([7, 2])], rows[2:8][[5, 0]])
    assert rows[:0].shape == (0, 2060)


# -- features ---------------------------------------------------------------------------------------


def test_bands_are_standardised(clips):
    modality, rows = read(clips)
    bands = modality.preprocessing()(modality.to_tensor(rows[np.arange(12)]))[:, 0]
    heard = bands.transpose(1, 2)[~bands[:, 0].isnan()]
    assert_close(heard.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
    assert_close(heard.std(0, correction=0), torch.ones(64), atol=1e-4, rtol=0)


def test_silence_is_a_sound():
    modality, rows = read(np.zeros((3, 2000), np.int16))
    x = modality.to_tensor(rows[np.arange(3)])
    assert modality.preprocessing()(x).isfinite().all()
    assert modality.features(x).isfinite().all()
    assert modality.preprocessing()(modality.example())[0].isfinite().all()


def test_features_do_not_depend_on_padding(clips):
    modality, rows = read(clips)
    x = modality.to_tensor(rows[np.arange(5)])
    features = modality.features(x)
    assert features.shape == (5, 8 * 64)
    assert features.dtype == torch.float32
    assert_close(modality.features(x[:, :940]), features, atol=1e-5, rtol=1e-5)


# -- as a whole -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    clips = [rng.integers(-9000, 9000, 300 + 160 * i, dtype=np.int16) for i in range(12)]
    embedder = ContrastiveEmbedder(
        modality="audio", modality_params=RATE, encoder_params={"width": 4}, max_epochs=2, random_state=0
    )
    return embedder.fit(clips), clips


def test_embedding_is_of_the_encoder_and_no_more(fitted):
    embedder, clips = fitted
    assert embedder.modality_ == "audio"
    assert embedder.transform(clips).shape == (12, embedder.encoder_.out_features)
    assert np.isfinite(embedder.transform(clips)).all()


def test_padding_does_not_change_an_embedding(fitted):
    embedder, clips = fitted
    longer = copy.deepcopy(embedder)
    longer.model_.modality.shape_ = (9000,)
    np.testing.assert_allclose(longer.transform(clips), embedder.transform(clips), atol=1e-5)


def test_order_and_company_do_not_change_a_bit(fitted):
    embedder, clips = fitted
    embedding = embedder.transform(clips)
    np.testing.assert_array_equal(embedder.transform(clips[::-1]), embedding[::-1])
    np.testing.assert_array_equal(embedder.transform(clips[3:5]), embedding[3:5])


def test_a_fitted_embedder_can_be_pickled(fitted):
    embedder, clips = fitted
    again = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(again.transform(clips), embedder.transform(clips))


def test_passthrough_returns_the_log_mel_means_too(clips):
    embedder = ContrastiveEmbedder(
        modality="audio", modality_params={**RATE, "n_mels": 10}, max_epochs=0, passthrough=True, random_state=0
    ).fit(clips)
    assert embedder.transform(clips).shape == (12, embedder.model_.n_learned + 80)


def test_fit_can_be_repeated_to_the_bit(fitted, clips):
    embedder, _ = fitted
    again = clone(embedder).fit(clips)
    np.testing.assert_array_equal(again.transform(clips), embedder.transform(clips))


@pytest.mark.parametrize("encoder", ["conv", "resnet18"])
def test_networks_of_images_take_spectrograms(encoder, clips):
    embedder = ContrastiveEmbedder(modality="audio", modality_params=RATE, encoder=encoder, max_epochs=0).fit(clips)
    assert np.isfinite(embedder.transform(clips)).all()


# -- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(8000), ValueError, r"X of shape \(8000,\) does not hold mono clips. Pass \(n, samples\)"),
        (np.zeros((4, 2, 800)), ValueError, "average stereo over its channels first, X.mean"),
        ([np.zeros(9), np.zeros((2, 9))], ValueError, r"clip 1 of X has shape \(2, 9\).*average stereo"),
        ([np.zeros(9, np.int16), np.zeros(9, np.float32)], ValueError, "float32 and int16, whose scales differ"),
        (np.zeros((4, 9), np.int64), ValueError, "dtype int64, whose scale is unknown. Pass int16"),
        (np.zeros((4, 9), np.uint8), ValueError, "dtype uint8, whose scale is unknown"),
        ([["a", "b"], ["c"]], ValueError, "whose scale"),
        ([np.zeros(9), np.zeros(0)], ValueError, "clip 1 of X has no samples. Drop it"),
        (np.zeros((0, 9)), ValueError, "n_samples=0"),
        ([], ValueError, "n_samples=0"),
        ([np.zeros(9)], ValueError, "n_samples=1"),
        ([np.zeros(9), np.array([0, 1, np.nan])], ValueError, "NaN in clip 1, sample 2.*list of arrays, without"),
        (np.array([[0, np.inf], [0, 1]]), ValueError, "infinity in clip 0, sample 1"),
        ("a.wav", TypeError, r"X is a str. Pass an array"),
        (None, TypeError, "X is a NoneType. Pass an array"),
    ],
)
def test_what_is_not_sound(X, error, message):
    with pytest.raises(error, match=message):
        read(X)


def test_a_missing_sampling_rate_is_asked_for(clips):
    with pytest.raises(ValueError, match=r"sampling_rate is missing.*modality_params=\{'sampling_rate': 16000\}"):
        ContrastiveEmbedder(modality="audio").fit(clips)


@pytest.mark.parametrize(
    "params",
    [
        {"sampling_rate": 0},
        {"sampling_rate": "8 kHz"},
        {"n_mels": 0},
        {"n_mels": 2.5},
        {"window": -0.1},
        {"hop": 0},
        {"max_seconds": 0},
        {"max_frequency": 4001},
        {"min_frequency": 4000},
        {"min_frequency": -1},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))}="):
        Audio(**{**RATE, **params})
