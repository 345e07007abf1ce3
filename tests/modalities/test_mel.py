import math

import pytest
import torch
from torch.testing import assert_close

from skclr.modalities.mel import LogMel, mel_edges, mel_filters, time_bins

RATE = 8000
FRAMES = {"sampling_rate": RATE, "n_mels": 40, "window": 0.025, "hop": 0.01, "min_frequency": 0, "max_frequency": 4000}


def sine(frequency, seconds=0.5, rate=RATE):
    return (2 * math.pi * frequency * torch.arange(round(seconds * rate)) / rate).sin()[None]


def noise(n=3, samples=4000, seed=0):
    return 0.1 * torch.randn(n, samples, generator=torch.Generator().manual_seed(seed))


def test_1000_hertz_are_1000_mel():
    # What the scale is made for: 999.99 with HTK's rounded constants.
    edges = mel_edges(999, 0, 1000)
    spacing = 2595 * math.log10(1 + 1000 / 700) / 1000
    assert spacing == pytest.approx(1, abs=1e-4)
    assert_close(edges[[0, -1]], torch.tensor([0, 1000], dtype=torch.float64))
    assert (edges.diff().diff() > 0).all()


def test_filters_are_triangles_that_meet_in_the_middle():
    edges = mel_edges(20, 100, 3000)
    filters = mel_filters(edges, 4096, RATE)
    frequencies = torch.arange(2049) * RATE / 4096
    assert_close(filters.sum(1), torch.ones(20))
    assert_close(frequencies[filters.argmax(1)].double(), edges[1:-1], atol=RATE / 4096, rtol=0)
    # At full height, each frequency is shared between two bands.
    total = (filters / filters.amax(1, keepdim=True)).sum(0)
    between = (frequencies >= edges[1]) & (frequencies <= edges[-2])
    assert_close(total[between], torch.ones(int(between.sum())), atol=0.1, rtol=0)
    assert (total[(frequencies < 100) | (frequencies > 3000)] == 0).all()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("n_mels", [8, 64, 128])
def test_no_band_falls_between_two_bins(rate, n_mels):
    filters = LogMel(rate, n_mels, 0.025, 0.01, 0, rate / 2).filters
    assert filters.isfinite().all()


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_full_scale_sine_reaches_energy_one_in_its_band(rate):
    mel = LogMel(rate, 40, 0.025, 0.01, 0, 4000)
    x = sine(mel_edges(40, 0, 4000)[20].item(), rate=rate)
    assert (mel(x)[0, 0].argmax(0) == 19).all()
    # A frequency in the middle between two bins loses the most.
    assert_close(mel._energy(x).amax(1), torch.ones(1, 48), atol=0.1, rtol=0)


def test_spectrum_is_the_fourier_transform_of_each_frame():
    x, mel = noise(), LogMel(**FRAMES, normalize_level=False)
    taper = torch.hann_window(200)
    start = 5 * 80
    frame = torch.zeros(3, mel.n_fft)
    frame[:, :200] = x[:, start : start + 200] * taper * 2 / taper.sum()
    expected = torch.fft.rfft(frame.double()).abs().square() @ mel.filters.double().T
    assert_close(mel(x)[:, 0, :, 5], (expected + 1e-6).log().float())


def test_frames_that_reach_past_the_end_are_not_there():
    x = noise()
    x[1, 1000:] = torch.nan
    x[2, 1039:] = torch.nan
    there = ~LogMel(**FRAMES)(x).isnan()
    # 200 samples a frame, one every 80: (1000 - 200) / 80 + 1, and 1039 has no room for another.
    assert there[:, 0, 0].sum(1).tolist() == [48, 11, 11]
    assert (there == there[:, :, :1]).all()


def test_padding_changes_nothing():
    x = noise()
    padded = torch.cat([x, torch.full((3, 1234), torch.nan)], 1)
    mel = LogMel(**FRAMES)
    bands, longer = mel(x), mel(padded)
    assert_close(longer[..., : bands.shape[3]], bands, equal_nan=True)
    assert longer[..., bands.shape[3] :].isnan().all()


@pytest.mark.parametrize("samples", [1, 150, 199])
def test_a_clip_shorter_than_a_frame_is_filled_up_with_silence(samples):
    x = noise(samples=samples)
    filled = torch.cat([x, torch.zeros(3, 200 - samples)], 1)
    mel = LogMel(**FRAMES)
    assert mel(x).shape == (3, 1, 40, 1)
    assert_close(mel(x), mel(filled))


def test_silence_is_the_floor():
    bands = LogMel(**FRAMES, dynamic_range=80, mean=math.log(1e-8), deviation=3.0)(torch.zeros(2, 4000))
    assert_close(bands, torch.zeros(2, 1, 40, 48), atol=1e-5, rtol=0)


def test_level_is_not_heard_unless_asked_for():
    x = noise()
    x[1, 1000:] = torch.nan
    assert_close(LogMel(**FRAMES)(0.01 * x), LogMel(**FRAMES)(x), equal_nan=True, atol=1e-4, rtol=0)
    assert_close(LogMel(**FRAMES)(x).nan_to_num(-9).amax((1, 2, 3)), torch.full((3,), math.log1p(1e-6)))
    quiet, loud = (LogMel(**FRAMES, dynamic_range=100, normalize_level=False)(gain * x) for gain in (0.1, 1.0))
    # Twenty decibels.
    difference = (loud - quiet)[~loud.isnan()]
    assert_close(difference, torch.full_like(difference, math.log(100)), atol=0.01, rtol=0)


def test_float32_under_autocast():
    x, mel = noise(), LogMel(**FRAMES)
    exact = mel(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mel(x), exact)
    assert exact.dtype == torch.float32


def test_time_bins_are_the_means_of_equal_parts():
    x = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0))
    x[1, :, 6:] = torch.nan
    bins = time_bins(x, 4)
    assert_close(bins[0], x[0].view(3, 4, 5).mean(2))
    # Six steps in four parts: the second step lies half in the first.
    assert_close(bins[1, :, 0], (x[1, :, 0] + 0.5 * x[1, :, 1]) / 1.5)
    assert_close(bins[1].mean(1), x[1, :, :6].mean(1))


def test_one_step_is_in_all_time_bins():
    x = torch.full((1, 2, 5), torch.nan)
    x[..., 0] = torch.tensor([3.0, 4.0])
    assert_close(time_bins(x, 8), x[..., :1].expand(1, 2, 8))
