import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.testing import assert_close

from skclr import ContrastiveEmbedder
from skclr.data.ragged import Ragged
from skclr.modalities import Series
from skclr.model import InputFeatures

LENGTHS = (9, 4, 7, 9, 5, 6)
LONGEST = max(LENGTHS)


def read(X, **params):
    modality = Series(**params)
    return modality, modality.read(X, InputFeatures(), reset=True)


def tensor(X, **params):
    modality, rows = read(X, **params)
    return modality.to_tensor(rows[np.arange(len(rows))])


def ragged(channels=2, lengths=LENGTHS, seed=0):
    generator = np.random.default_rng(seed)
    return [5 * generator.normal(size=(channels, length)) + 3 for length in lengths]


def padded(samples, length=LONGEST):
    return np.stack([np.pad(s, ((0, 0), (0, length - s.shape[1])), constant_values=np.nan) for s in samples])


# -- layouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout",
    [
        lambda samples: samples,
        lambda samples: tuple(samples),
        lambda samples: [sample.tolist() for sample in samples],
        lambda samples: np.fromiter(samples, dtype=object),
        lambda samples: padded(samples),
        lambda samples: padded(samples).astype(object),
    ],
    ids=["list", "tuple", "lists", "objects", "padded", "padded_objects"],
)
def test_every_layout_is_read_alike(layout):
    x = tensor(layout(ragged()))
    assert x.dtype == torch.float32
    assert_close(x, torch.from_numpy(padded(ragged())).float(), equal_nan=True)


def test_channels_last_is_read_with_its_axis():
    samples = ragged()
    expected = tensor(samples)
    assert_close(tensor([s.T for s in samples], channel_axis=-1), expected, equal_nan=True)
    assert_close(tensor(np.moveaxis(padded(samples), 1, 2), channel_axis=-1), expected, equal_nan=True)


@pytest.mark.parametrize("as_list", [False, True])
def test_one_channel_needs_no_axis(as_list):
    X = np.arange(12).reshape(3, 4)
    expected = torch.arange(12.0).reshape(3, 1, 4)
    assert_close(tensor(list(X) if as_list else X), expected)
    assert_close(tensor(X[:, None]), expected)
    assert_close(tensor(pd.DataFrame(X)), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool, np.float16, np.float32, np.float64])
def test_every_kind_of_number_is_welcome(dtype):
    X = np.arange(12).reshape(2, 1, 6).astype(dtype)
    assert_close(tensor(X), torch.from_numpy(X.astype(np.float32)))
    # Whole numbers have no NaN of their own to end a shorter series with.
    assert torch.equal(tensor([X[0, 0], X[1, 0, :4]])[1, 0].isnan(), torch.arange(6) >= 4)


def test_arrays_are_not_copied_and_not_written_to():
    X = padded(ragged())
    X.flags.writeable = False
    modality, rows = read(X)
    assert np.shares_memory(rows, X)
    modality.to_tensor(rows[np.arange(2)]).fill_(7.0)
    assert_array_equal(X, padded(ragged()))


def test_shape_is_that_of_the_longest():
    assert read(ragged())[0].shape_ == (2, LONGEST)
    assert read(ragged())[0].example().shape == (2, 2, LONGEST)


# -- statistics -------------------------------------------------------------------------------------


def test_preprocessing_standardises_present_values_and_keeps_nan():
    modality, rows = read(ragged())
    x = modality.to_tensor(rows[:])
    standardized = modality.preprocessing()(x)
    assert torch.equal(standardized.isnan(), x.isnan())
    for channel in standardized.unbind(1):
        values = channel[~channel.isnan()]
        assert_close(values.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
        assert_close(values.std(correction=0), torch.tensor(1.0))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_channel_is_not_blown_up(value):
    X = padded(ragged())
    X[:, 1] = value
    modality, rows = read(X)
    standardized = modality.preprocessing()(modality.to_tensor(rows))[:, 1]
    assert_close(standardized, torch.zeros_like(standardized), atol=1e-6 * max(value, 1), rtol=0)
    # Where it varies later, it keeps its units.
    assert modality.deviation_[1] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_float32_holds_are_taken_at_any_size(dtype):
    X = np.float32(1e8 + 8 * np.random.default_rng(0).integers(0, 9, (6, 2, 5))).astype(dtype)
    modality, rows = read(X)
    assert_close(modality.to_tensor(rows), torch.from_numpy(np.float32(X)))


def test_a_channel_that_is_never_there_stays_so():
    X = padded(ragged())
    X[:, 1] = np.nan
    modality, rows = read(X)
    assert modality.preprocessing()(modality.to_tensor(rows))[:, 1].isnan().all()


@pytest.mark.parametrize("length", [4, 9, 15])
def test_features_are_what_random_kernels_find(length):
    modality, _ = read(ragged())
    more = modality.read(ragged(lengths=(length, 3)), InputFeatures(), reset=False)
    x = modality.to_tensor(more[:])
    assert_close(modality.features(x), modality.kernels_(modality.preprocessing()(x)))
    assert modality.features(x).shape == (2, modality.n_features())


def test_features_of_files_without_kernels_are_standardised_values():
    modality, rows = read(ragged())
    modality.kernels_ = None
    x = modality.to_tensor(rows[:])
    assert_close(modality.features(x), modality.preprocessing()(x).nan_to_num().flatten(1))


# -- from fit to transform --------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["array", "list", "longer_array"])
def test_joined_rows_are_padded_to_the_longest(other):
    modality, rows = read(padded(ragged()))
    more = ragged(lengths=(12, 12) if other == "longer_array" else LENGTHS, seed=1)
    more = more if other == "list" else np.stack(more) if other == "longer_array" else padded(more)
    joined = modality.join(rows, modality.read(more, InputFeatures(), reset=False))
    x = modality.to_tensor(joined[np.arange(len(joined))])
    length = 12 if other == "longer_array" else LONGEST
    assert x.shape == (len(rows) + len(more), 2, length)
    assert_close(x[:6], torch.from_numpy(padded(ragged(), length)).float(), equal_nan=True)
    assert_close(x[6:], torch.from_numpy(padded(list(more), length)).float(), equal_nan=True)


def test_whole_numbers_of_two_lengths_are_joined_with_nan():
    modality, rows = read(np.arange(8).reshape(2, 1, 4))
    joined = modality.join(rows, modality.read(np.arange(6).reshape(2, 1, 3), InputFeatures(), reset=False))
    assert isinstance(joined, Ragged)
    assert modality.to_tensor(joined[:])[2:, 0, 3].isnan().all()


@pytest.fixture(scope="module", params=["tcn", "on_features"])
def embedder(request):
    X = [np.cumsum(s, axis=1) for s in ragged(lengths=(20, 14, 17, 9, 20, 12))]
    return ContrastiveEmbedder(modality="series", encoder=request.param, max_epochs=2, random_state=0).fit(X)


def test_padding_changes_no_embedding(embedder):
    samples = ragged(lengths=(20, 14, 17))
    embedding = embedder.transform(samples)
    assert_close(embedder.transform(padded(samples, 20)), embedding, atol=1e-4, rtol=1e-4)
    assert_close(embedder.transform(padded(samples, 33)), embedding, atol=1e-4, rtol=1e-4)


def test_neighbours_in_a_batch_change_no_bit(embedder):
    samples = padded(ragged(lengths=(20, 14, 17)), 20)
    embedding = embedder.transform(samples)
    assert_array_equal(embedder.transform(samples[[2, 0]]), embedding[[2, 0]])


def test_more_unlabelled_series_of_another_length():
    X, more = padded(ragged()), ragged(lengths=(11, 3), seed=1)
    embedder = ContrastiveEmbedder(modality="series", max_epochs=1, passthrough=True, random_state=0)
    embedder.fit(X, unlabeled=more)
    assert embedder.transform(more).shape == (2, embedder.model_.n_learned + 512)


# -- mistakes ---------------------------------------------------------------------------------------


def at(X, place, value):
    X = X.copy()
    X[place] = value
    return X


BAD = {
    "mixed_channels": ([np.zeros((2, 5)), np.zeros((3, 5))], "2 channel.*row 0 and of 3 in row 1"),
    "empty_series": ([np.zeros((1, 5)), np.zeros((1, 0))], r"row 1 of X is empty.*Drop it"),
    "empty_list": ([], "0 sample"),
    "numbers": ([1.0, 2.0, 3.0], r"row 0 of X has shape \(\). Pass a list of \(channels, time_i\)"),
    "rank_in_list": ([np.zeros((2, 3, 4))] * 2, r"row 0 of X has shape \(2, 3, 4\)"),
    "rank_1": (np.zeros(5), r"shape \(5,\) does not hold series. Pass \(n, channels, time\)"),
    "rank_4": (np.zeros((2, 3, 4, 5)), r"shape \(2, 3, 4, 5\) does not hold series"),
    "no_steps": (np.zeros((3, 1, 0)), r"shape \(3, 1, 0\) does not hold series"),
    "text": (np.array([["a", "b"], ["c", "d"]]), "<U1 values where series need real numbers"),
    "text_list": (["up", "down"], "row 0 of X is not an array of numbers.*<U2"),
    "text_objects": (
        np.array([["a", 1.0], ["c", 2.0]], dtype=object),
        r"objects where series need numbers \(could not",
    ),
    "complex": (np.zeros((2, 1, 4), complex), "complex128 values"),
    "dates": (np.zeros((2, 1, 4), "datetime64[s]"), "datetime64.*real numbers"),
    "uneven_channels": ([[[1, 2, 3], [4, 5]], [[1, 2, 3], [4, 5, 6]]], "row 0 of X is not an array of numbers"),
    "nested_frame": (pd.DataFrame({"a": [pd.Series([1, 2]), pd.Series([3])]}), r"objects.*\(n, channels, time\)"),
    "one": (np.zeros((1, 1, 5)), "1 sample.*2 or more"),
    "inf": (at(np.zeros((4, 2, 5)), (3, 1, 2), np.inf), "infinity.* in row 3. Use NaN"),
    "inf_list": ([np.zeros((1, 5)), np.array([[0, -np.inf]])], "infinity.* in row 1"),
    "beyond_float32": (at(np.zeros((4, 2, 5)), (2, 0, 0), 1e300), "beyond float32, in row 2.*rescale"),
    "beyond_the_digits_of_float32": (
        1e8 + np.arange(40.0).reshape(4, 2, 5) % 7,
        "channel 0 of X varies by 1.95 around 1e.08.*Subtract",
    ),
    "nothing_there": (at(np.zeros((4, 2, 5)), 1, np.nan), "row 1 of X contains only NaN. Drop it"),
    "nothing_there_list": ([np.zeros((1, 5)), np.full((1, 3), np.nan)], "row 1 of X contains only NaN"),
    "channels_last": (np.zeros((4, 50, 3)), "50 channels of 3 step.*'channel_axis': -1.*'channel_axis': 1"),
    "channels_last_list": ([np.zeros((50, 3)), np.zeros((50, 2))], "50 channels of 3 step.*'channel_axis': -1"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named(name):
    X, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        ContrastiveEmbedder(modality="series", max_epochs=0).fit(X)


def test_another_number_of_channels():
    modality, _ = read(ragged())
    with pytest.raises(ValueError, match=r"series of 3 channel\(s\).*fitted on 2.*fit again"):
        modality.read(ragged(channels=3), InputFeatures(), reset=False)


def test_many_channels_are_read_where_the_axis_is_said():
    X = np.random.default_rng(0).normal(size=(3, 50, 4))
    assert tensor(X, channel_axis=1).shape == (3, 50, 4)
    assert tensor(X, channel_axis=-1).shape == (3, 4, 50)


def test_wrong_channel_axis():
    with pytest.raises(ValueError, match=r"channel_axis=2: pass 1 .*or -1"):
        Series(channel_axis=2)
