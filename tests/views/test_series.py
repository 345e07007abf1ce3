import copy
import pickle

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr.views.series import RelativeTime, SeriesViews, mask_frequencies, permute, resample, warp

# Nothing happens to a view but what a test adds.
STILL = {"crop_scale": (1.0, 1.0), "jitter": 0.0, "scaling": 0.0, "channel_mask": 0.0, "time_mask": 0.0}
# Each operation alone, as strong as it gets.
OPERATIONS = {
    "crop": {"crop_scale": (0.3, 0.6)},
    "time_warp": {"time_warp": 1.0},
    "segments": {"segments": 5},
    "jitter": {"jitter": 0.5},
    "scaling": {"scaling": 0.5},
    "magnitude_warp": {"magnitude_warp": 0.5},
    "frequency_mask": {"frequency_mask": 0.9},
    "channel_mask": {"channel_mask": 0.6},
    "time_mask": {"time_mask": 0.9},
}
EVERYTHING = {name: value for operation in OPERATIONS.values() for name, value in operation.items()}
every_operation = pytest.mark.parametrize("name", OPERATIONS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n=6, channels=3, length=40):
    return torch.randn(n, channels, length, generator=generator(9)) * 2 + 5


def ramps(n=6, channels=1, length=41):
    """Series whose value is their relative time."""
    return torch.linspace(0, 1, length).expand(n, channels, length).contiguous()


def make(x, seed=0, fit_to=None, **params):
    views = SeriesViews(**STILL | params).fit(x if fit_to is None else fit_to)
    return views(x, torch.arange(len(x)), generator(seed))


def end_at(x, lengths):
    """Write NaN after the first steps of each series."""
    return x.masked_fill((torch.arange(x.shape[2]) >= torch.tensor(lengths)[:, None])[:, None], torch.nan)


# -- all operations ---------------------------------------------------------------------------------


def test_without_operations_a_view_is_the_series():
    x = end_at(noise(), [40, 31, 2, 1, 17, 40])
    x[0, 1, 7] = x[4, :, 3:5] = torch.nan
    for view in make(x):
        assert_close(view, x, equal_nan=True, atol=1e-4, rtol=0)


@every_operation
def test_each_operation_changes_every_series_and_each_view_otherwise(name):
    x = noise()
    one, other = make(x, **OPERATIONS[name])
    for a, b in ((one, x), (other, x), (one, other)):
        assert a.shape == x.shape
        changed = ((a - b).abs().amax((1, 2)) > 1e-4).float().mean()
        # What is drawn may be the order that was, no channel, or less than a step.
        assert changed == 1 or (name in ("segments", "channel_mask", "time_mask") and changed >= 0.5)


@every_operation
def test_padding_is_not_drawn_into_the_series(name):
    lengths = [40, 31, 2, 1, 17, 40]
    x = end_at(noise(), lengths)
    for view in make(x, **OPERATIONS[name]):
        assert torch.equal(view.isnan(), x.isnan())


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("jitter", "frequency_mask")])
def test_a_padded_series_has_the_views_of_the_series_alone(name):
    # Noise and spectrum have as many draws as steps.
    x = noise(length=20)
    long = torch.nn.functional.pad(x, (4, 9), value=torch.nan)
    for view, expected in zip(make(long, **OPERATIONS[name]), make(x, **OPERATIONS[name]), strict=True):
        assert_close(view[:, :, 4:24], expected, atol=1e-4, rtol=0)


def test_all_at_once_keep_to_the_protocol():
    x = end_at(noise(), [40, 31, 2, 1, 17, 40])
    before, state = x.clone(), torch.get_rng_state()
    first = make(x, n_views=3, **EVERYTHING)
    assert len(first) == 3
    assert all(view.dtype == torch.float32 and not view.isinf().any() for view in first)
    assert torch.equal(torch.get_rng_state(), state)
    assert_close(x, before, equal_nan=True, atol=0, rtol=0)
    for view, same, another in zip(
        first, make(x, n_views=3, **EVERYTHING), make(x, 1, n_views=3, **EVERYTHING), strict=True
    ):
        assert_close(view, same, equal_nan=True, atol=0, rtol=0)
        assert not torch.equal(view.nan_to_num(), another.nan_to_num())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_make_the_same_views(duplicate):
    x = noise()
    views = SeriesViews(**EVERYTHING).fit(x)
    rows = torch.arange(len(x))
    for one, other in zip(views(x, rows, generator()), duplicate(views)(x, rows, generator()), strict=True):
        assert torch.equal(one, other)


def test_units_make_no_difference():
    x = noise()
    scale, shift = torch.tensor([100.0, 0.1, 3.0])[:, None], torch.tensor([1000.0, -2.0, 0.0])[:, None]
    for view, expected in zip(make(x * scale + shift, **EVERYTHING), make(x, **EVERYTHING), strict=True):
        assert_close((view - shift) / scale, expected, atol=2e-3, rtol=1e-3)


# -- time -------------------------------------------------------------------------------------------


def test_a_crop_shows_a_stretch_of_its_share():
    views = torch.cat(make(ramps(2000), crop_scale=(0.3, 0.6)))[:, 0]
    slopes = views.diff()
    share = slopes.sum(1)
    assert_close(slopes, slopes[:, :1].expand_as(slopes), atol=1e-5, rtol=0)
    assert 0.3 - 1e-5 < share.min() < 0.31
    assert 0.59 < share.max() < 0.6 + 1e-5
    assert views.min() >= -1e-5
    assert views.max() <= 1 + 1e-5
    # No place is preferred: the middle of the crops is, on average, the middle.
    assert views[:, 20].mean().item() == pytest.approx(0.5, abs=0.02)


def test_warped_time_runs_forwards_from_start_to_end():
    views = torch.cat(make(ramps(200), time_warp=1.0))[:, 0]
    assert views.diff().min() > 0
    assert_close(views[:, 0], torch.zeros(400), atol=1e-5, rtol=0)
    assert_close(views[:, -1], torch.ones(400), atol=1e-5, rtol=0)


def test_time_at_a_constant_speed_is_not_warped():
    time = torch.rand(3, 50, generator=generator())
    assert_close(warp(time, torch.full((3, 4), 0.7)), time)


def test_time_runs_as_fast_as_its_knots_say():
    # Twice as fast in the first half: a third of the time is left for the second.
    knots = torch.tensor([[2.0, 1.0]]).log()
    assert_close(warp(torch.tensor([[0.25, 0.5, 0.75]]), knots), torch.tensor([[1 / 3, 2 / 3, 5 / 6]]))


def test_permuted_segments_are_in_the_order_that_is_asked_for():
    time = (torch.arange(12) + 0.5)[None] / 12
    order = torch.tensor([[2, 0, 1, 3]])
    expected = (torch.tensor([[8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7]]) + 0.5) / 12
    assert_close(permute(time, torch.tensor([3]), order), expected)
    assert_close(permute(time, torch.tensor([1]), torch.arange(4)[None]), time)


def test_permuting_loses_nothing():
    x = ramps(500, length=61)
    views = torch.cat(make(x, segments=4))[:, 0]
    jumps = (views.diff().abs() > 0.05).sum(1)
    # As many as four segments have borders, and some have none.
    assert set(jumps.tolist()) == {0, 1, 2, 3}
    # Where a border falls between two steps, up to a step is skipped or seen twice.
    assert_close(views.sort(dim=1).values, x[:1, 0].expand_as(views), atol=2.5 / 60, rtol=0)


# -- values -----------------------------------------------------------------------------------------


def test_jitter_is_relative_to_the_channels_deviation():
    scale = torch.tensor([100.0, 1.0, 0.01])[:, None]
    x = noise(2000, 3, 20) * scale
    change = (make(x, jitter=0.3)[0] - x) / (2 * scale)
    deviation = change.std((0, 2))
    # Deviations are uniform up to 0.3, so their squares have the mean 0.3² / 3.
    assert_close(deviation, torch.full((3,), 0.3 / 3**0.5), rtol=0.05, atol=0)
    assert change.mean((0, 2)).abs().max() < 0.01


def test_scaling_is_one_positive_factor_for_a_channel_around_its_mean():
    x = noise()
    mean = x.mean((0, 2), keepdim=True)
    for view in make(x, scaling=0.5):
        factors = (view - mean) / (x - mean)
        assert_close(factors, factors[:, :, :1].expand_as(factors), rtol=0.02, atol=0)
        assert factors.min() > 0
        assert len(factors[:, :, 0].unique()) == 18


def test_magnitude_warp_changes_slowly():
    x = torch.ones(50, 1, 101)
    x[::2] = -1
    curves = torch.cat([view / x for view in make(x, magnitude_warp=0.5)])[:, 0].log()
    assert (curves.amax(1) - curves.amin(1)).median() > 0.1
    # Six knots: 20 steps from one to the next, linear in between.
    bends = curves.diff(n=2).abs()
    assert bends[:, [19, 39, 59, 79]].sum() > 100 * bends[:, [9, 29, 49, 69]].sum()


def test_frequencies_are_taken_out_and_the_level_stays():
    t = torch.arange(32) * (2 * torch.pi / 32)
    level, slow, fast = 1.5, (3 * t).sin(), (8 * t).cos()
    masked = torch.zeros(1, 17, dtype=torch.bool)
    masked[:, 8] = True
    assert_close(mask_frequencies((level + slow + fast)[None, None], masked), (level + slow)[None, None])
    views = torch.cat(make(noise(200), frequency_mask=1.0))
    assert_close(views.mean(2), noise(200).mean(2).repeat(2, 1), atol=1e-4, rtol=0)


def test_masked_frequencies_are_uniform_up_to_the_largest_share():
    x = noise(2000, 1, 64)
    before, after = (torch.fft.rfft(v).abs()[:, 0, 1:] for v in (x, make(x, frequency_mask=0.5)[0]))
    share = (after < 1e-3 * before).float().mean(1)
    assert share.mean().item() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_channels_are_masked_but_never_all(channels):
    x = noise(2000, channels, 5)
    mean = x[:200].mean((0, 2))[:, None]
    masked = ((make(x, fit_to=x[:200], channel_mask=0.5)[0] - mean).abs() < 1e-5).all(2)
    assert not masked.all(1).any()
    # Half of the channels, less the case in which it were all.
    expected = 0.5 - 0.5**channels / channels
    assert masked.float().mean().item() == pytest.approx(expected, abs=0.03)


def test_time_mask_is_one_stretch_of_all_channels_at_their_means():
    x = noise(1000, 2, 50)
    mean = x[:200].mean((0, 2))[:, None]
    masked = (make(x, fit_to=x[:200], time_mask=0.4)[0] - mean).abs() < 1e-5
    assert torch.equal(masked[:, 0], masked[:, 1])
    share = masked[:, 0].float().mean(1)
    assert share.max() <= 0.4 + 1 / 50
    assert share.mean().item() == pytest.approx(0.2, abs=0.02)
    # Begins at most once.
    assert (masked[:, 0].int().diff() == 1).sum(1).max() == 1


# -- helpers ----------------------------------------------------------------------------------------


def test_resample_is_numpys_interpolation():
    x = noise()
    steps = torch.rand(6, 15, generator=generator()) * 39
    expected = [[np.interp(s, np.arange(40), c) for c in series] for s, series in zip(steps, x, strict=True)]
    assert_close(resample(x, steps), torch.tensor(np.array(expected), dtype=torch.float32), atol=1e-4, rtol=0)


def test_next_to_a_missing_value_the_nearer_step_counts():
    x = torch.tensor([[[1.0, torch.nan, 5.0]]])
    found = resample(x, torch.tensor([[0.0, 0.4, 0.6, 1.0, 1.4, 1.6, 2.0]]))
    assert_close(found[0, 0], torch.tensor([1.0, 1.0, *[torch.nan] * 3, 5.0, 5.0]), equal_nan=True)


def test_relative_time_runs_from_the_first_step_to_the_last():
    x = torch.full((3, 2, 6), torch.nan)
    x[0, 0, 1] = x[0, 1, 5] = x[1, 0, 3] = 1.0
    x[2] = 1.0
    time = RelativeTime(x)
    assert time.first.flatten().tolist() == [1, 3, 0]
    assert time.last.flatten().tolist() == [5, 3, 5]
    assert_close(time.values[0], torch.tensor([0, 0, 0.25, 0.5, 0.75, 1.0]))
    assert_close(time.steps_at(time.values), torch.arange(6.0).expand(3, 6))


# -- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_views": 1}, "n_views=1: use a whole number of 2 or more"),
        ({"crop_scale": (0.5, 1.5)}, r"crop_scale=\(0.5, 1.5\): use \(smallest, largest\)"),
        ({"crop_scale": 0.5}, "crop_scale=0.5: use"),
        ({"segments": 0}, "segments=0: use a whole number of 1 or more"),
        ({"segments": 2.5}, "segments=2.5: use a whole number"),
        ({"jitter": -0.1}, "jitter=-0.1: use a number of 0 or more"),
        ({"scaling": "strong"}, "scaling='strong': use a number of 0 or more"),
        ({"magnitude_warp": -1}, "magnitude_warp=-1: use"),
        ({"time_warp": None}, "time_warp=None: use"),
        ({"time_mask": 1.5}, "time_mask=1.5: use a number from 0 to 1"),
        ({"channel_mask": -0.5}, "channel_mask=-0.5: use a number from 0 to 1"),
        ({"frequency_mask": 2}, "frequency_mask=2: use a number from 0 to 1"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        SeriesViews(**params)


def test_samples_that_are_not_series():
    with pytest.raises(ValueError, match=r"series views take samples of \(channels, time\), got \(8,\)"):
        SeriesViews().fit(torch.zeros(4, 8))
