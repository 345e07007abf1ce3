import math
import pickle

import pytest
import torch
from torch.testing import assert_close

from skclr.views import AudioViews
from skclr.views.audio import colored_noise, decibels, impulse_response, interpolate, mel, power_of_two, random_interval
from skclr.views.draws import Draws

RATE = 8000
# Nothing happens to a view but what a test adds.
STILL = {
    "view_seconds": 0.3,
    "crop": (1.0, 1.0),
    "speed": 0.0,
    "shift": 0.0,
    "reverb": 0.0,
    "time_mask": 0.0,
    "frequency_mask": 0.0,
    "noise": 0.0,
    "gain": 0.0,
}
LENGTHS = torch.tensor([2400, 2000, 1501, 600, 1])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(seed=0):
    x = 0.1 * torch.randn(5, 2400, generator=generator(seed))
    return x.masked_fill(torch.arange(2400) >= LENGTHS[:, None], torch.nan)


def sines(frequency, n=200):
    return (2 * math.pi * frequency * torch.arange(2400) / RATE).sin().expand(n, -1)


def views_of(x, seed=0, **params):
    return AudioViews(RATE, **{**STILL, **params}).fit(x)(x, torch.arange(len(x)), generator(seed))


def level(x):
    return x.square().nanmean(1).sqrt()


def rising():
    """Sample t of clip i is 10,000 i + t: a value tells where it comes from."""
    x = torch.arange(2400.0) + 10_000 * torch.arange(5)[:, None]
    return x.masked_fill(torch.arange(2400) >= LENGTHS[:, None], torch.nan)


def lengths_of(x):
    """Check that NaN is at the end only, and return the lengths."""
    there = ~x.isnan()
    assert (there[:, :-1] >= there[:, 1:]).all()
    return there.sum(1)


def test_with_nothing_to_do_a_view_is_the_clip():
    for view in views_of(clips(), n_views=3):
        assert_close(view, clips(), equal_nan=True)


def test_every_clip_is_changed_on_its_own_and_x_is_not():
    x, before = clips().expand(-1, -1).clone(), clips()
    one, other = AudioViews(RATE).fit(x)(x, torch.arange(5), generator())
    assert_close(x, before, equal_nan=True, rtol=0, atol=0)
    assert not torch.equal(one.nan_to_num(), other.nan_to_num())
    twins = clips()[:1].expand(4, -1)
    first, second = views_of(twins, gain=6.0)
    assert len({round(v, 6) for v in torch.cat([level(first), level(second)]).tolist()}) == 8


def test_all_randomness_is_the_generators():
    x, before = clips(), torch.get_rng_state()
    views = AudioViews(RATE).fit(x)
    again = pickle.loads(pickle.dumps(views))
    for one, other in zip(views(x, None, generator(1)), again(x, None, generator(1)), strict=True):
        assert_close(one, other, equal_nan=True, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_views_are_finite_for_all_existing_steps_even_silence():
    for x in (clips(), 0 * clips()):
        for view in AudioViews(RATE, noise=1.0, reverb=1.0).fit(x)(x, torch.arange(5), generator()):
            assert (lengths_of(view) >= 1).all()
            assert not view.isinf().any()


# -- time -------------------------------------------------------------------------------------------


def test_a_crop_is_a_stretch_of_its_clip():
    x = rising()
    for view in views_of(x, crop=(0.5, 0.9)):
        lengths, start = lengths_of(view), view[:, 0]
        assert (lengths[:4] >= (0.5 * LENGTHS[:4]).floor()).all()
        assert (lengths[:4] <= 0.9 * LENGTHS[:4]).all()
        expected = start[:, None] + torch.arange(2400)
        assert_close(view, expected.masked_fill(view.isnan(), torch.nan), equal_nan=True, rtol=0, atol=0.01)
        within = view - 10_000 * torch.arange(5)[:, None]
        assert (within.nan_to_num(0) >= 0).all()
        assert (within.nan_to_num(0) <= LENGTHS[:, None] - 1).all()


def test_clips_longer_than_a_view_are_cut_at_a_random_place():
    x = torch.arange(2400.0).expand(300, -1)
    starts = views_of(x, view_seconds=0.1)[0]
    assert starts.shape == (300, 800)
    starts = starts[:, 0]
    assert starts.max() <= 1600
    # Uniform on [0, 1600]: five standard errors around the middle.
    assert starts.mean().item() == pytest.approx(800, abs=5 * 1600 / math.sqrt(12 * 300))


def test_most_clips_are_whole_in_a_view():
    x = torch.zeros(100, 2400).masked_fill(torch.arange(2400) >= 20 * torch.arange(1, 101)[:, None], torch.nan)
    assert AudioViews(RATE).fit(x).length_ == pytest.approx(1800, abs=20)
    assert AudioViews(RATE, view_seconds=9).fit(x).length_ == 2400


def test_a_change_of_speed_scales_frequency_and_length():
    x = sines(440, 50)
    view = views_of(x, speed=0.1)[0]
    rates = 2400 / lengths_of(view)
    # A length is cut to the view's, so only what is faster shows.
    faster = rates > 1.005
    spectra = torch.fft.rfft(view.nan_to_num(0), 1 << 16).abs()
    peaks = spectra.argmax(1) * RATE / (1 << 16)
    assert faster.sum() > 10
    assert_close(peaks[faster], 440 * rates[faster], rtol=2e-3, atol=0)
    assert (peaks / 440).min() >= 0.9 - 1e-3
    assert (peaks / 440).max() <= 1.1 + 1e-3


def test_a_shift_turns_the_clip_around():
    x = rising()
    for view in views_of(x, shift=1.0):
        assert torch.equal(lengths_of(view), LENGTHS)
        for i, n in enumerate(LENGTHS.tolist()):
            turn = int(view[i, 0] - 10_000 * i)
            assert_close(view[i, :n], x[i, :n].roll(-turn), rtol=0, atol=0.01)


def test_interpolation_is_exact_on_lines():
    x = torch.tensor([[0.0, 2.0, 4.0, 6.0]])
    assert_close(interpolate(x, torch.tensor([[0.0, 0.5, 1.25, 3.0]])), torch.tensor([[0.0, 1.0, 2.5, 6.0]]))


def test_a_time_mask_is_one_silent_stretch():
    x = torch.ones(300, 2400)
    x[:, 1200:] = torch.nan
    view = views_of(x, time_mask=0.4)[0]
    assert set(view.nan_to_num(2).unique().tolist()) == {0.0, 1.0, 2.0}
    silent = view == 0
    assert (silent.diff(dim=1).sum(1) <= 2).all()
    shares = silent.sum(1) / 1200
    assert shares.max() <= 0.4 + 1e-3
    assert shares.mean().item() == pytest.approx(0.2, abs=5 * 0.4 / math.sqrt(12 * 300))


# -- frequency --------------------------------------------------------------------------------------


def test_a_frequency_mask_silences_a_band_and_nothing_else():
    x = torch.randn(1, 2400, generator=generator()).repeat(50, 1)
    view = views_of(x, frequency_mask=0.5, view_seconds=0.3)[0]
    before, after = (torch.fft.rfft(wave, 2400).abs().square() for wave in (x, view))
    kept = after / before
    frequencies = torch.fft.rfftfreq(2400, 1 / RATE)
    place = mel(frequencies) / mel(frequencies[-1])
    shares = torch.trapezoid((kept < 0.5).float(), place, dim=1)
    assert shares.max() < 0.55
    assert shares.mean().item() == pytest.approx(0.25, abs=5 * 0.5 / math.sqrt(12 * 50))
    # Away from the band's edges and the cut at the end all or nothing is kept.
    assert ((kept < 0.2) | ((kept > 0.8) & (kept < 1.2))).float().mean() > 0.9


@pytest.mark.parametrize("longest", [0.0, 0.3, 1.0])
def test_a_stretch_is_inside_and_no_longer_than_asked(longest):
    place = torch.linspace(0, 1, 1001)
    inside = random_interval(place, longest, Draws(500, generator()))
    share = inside.float().mean(1)
    assert share.max() <= longest + 2e-3
    assert share.mean().item() == pytest.approx(longest / 2, abs=5 * longest / math.sqrt(12 * 500) + 1e-3)


def test_echoes_come_after_the_sound_and_fall_by_60_decibels():
    decay = torch.tensor([400.0]).expand(2000)
    response = impulse_response(decay, torch.full((2000,), 0.5), 800, generator())
    assert_close(response.square().sum(1), torch.ones(2000))
    # Energy 1 of the impulse to 0.5 of its echoes.
    assert_close(response[:, 0].square(), torch.full((2000,), 1 / 1.5))
    energy = response.square().mean(0)
    fallen = 10 * (energy[2:42].mean() / energy[402:442].mean()).log10()
    assert fallen.item() == pytest.approx(60, abs=1)


def test_a_dry_room_changes_nothing():
    assert torch.equal(impulse_response(torch.tensor([9.0]), torch.zeros(1), 5, generator()), torch.eye(5)[:1])


def test_reverberation_is_causal_and_stays_within_the_clip():
    x = torch.zeros(40, 2400)
    x[:, 1000] = 1.0
    x[:, 2000:] = torch.nan
    view = views_of(x, reverb=1.0, reverb_seconds=(0.1, 0.2))[0]
    assert (lengths_of(view) == 2000).all()
    assert view[:, :1000].abs().max() < 1e-5
    assert (view[:, 1001:2000].square().sum(1) > 0).all()
    assert (view[:, 1000] > 0.7).all()


# -- level ------------------------------------------------------------------------------------------


def test_gain_is_within_its_decibels_either_way():
    x = sines(300)
    change = 20 * (level(views_of(x, gain=6.0)[0]) / level(x)).log10()
    assert change.abs().max() <= 6 + 1e-3
    assert change.min() < -4
    assert change.max() > 4
    assert_close(decibels(torch.tensor([20.0, -6.0206])), torch.tensor([10.0, 0.5]), atol=1e-4, rtol=0)


def test_noise_has_the_ratio_that_is_asked_for():
    x = 0.3 * sines(300)
    x = x.masked_fill(torch.arange(2400) >= 2000, torch.nan)
    noise = views_of(x, noise=1.0, snr=(12.0, 12.0))[0] - x
    ratio = 20 * (level(x) / level(noise)).log10()
    assert_close(ratio, torch.full((200,), 12.0), atol=1.5, rtol=0)
    assert ratio.mean().item() == pytest.approx(12, abs=0.2)


def test_noise_comes_as_often_as_asked():
    x = sines(300)
    changed = (views_of(x, noise=0.3)[0] != x).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7 / 200))


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_colour_is_the_slope_of_the_spectrum(exponent):
    noise = colored_noise(torch.full((400,), exponent), 4096, generator())
    assert_close(noise.square().mean(1), torch.ones(400))
    power = torch.fft.rfft(noise).abs().square().mean(0)
    # Two bands four octaves apart.
    slope = (power[32:64].mean() / power[512:1024].mean()).log2() / 4
    assert slope.item() == pytest.approx(exponent, abs=0.05)


def test_power_of_two():
    assert [power_of_two(n) for n in (1, 2, 3, 4, 5, 1025)] == [1, 2, 4, 4, 8, 2048]


# -- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"n_views": 1},
        {"view_seconds": 0},
        {"crop": (0.0, 1.0)},
        {"crop": 0.5},
        {"speed": 0.6},
        {"shift": -1},
        {"reverb": 2},
        {"reverb_seconds": (0.2, 0.1)},
        {"time_mask": 1.5},
        {"frequency_mask": "much"},
        {"noise": -0.1},
        {"snr": (20, 10)},
        {"snr": 10},
        {"gain": -3},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))}="):
        AudioViews(RATE, **params)


def test_a_missing_sampling_rate_is_asked_for():
    with pytest.raises(ValueError, match=r"sampling_rate is missing\. Use views='audio' with modality='audio'"):
        AudioViews()


def test_images_are_not_clips():
    with pytest.raises(ValueError, match=r"audio views take clips \(samples,\), got \(1, 8, 8\)"):
        AudioViews(RATE).fit(torch.zeros(4, 1, 8, 8))
