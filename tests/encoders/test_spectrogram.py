import pytest
import torch
from torch.testing import assert_close

from skclr.encoders import SpectrogramConv

SHAPE = (1, 20, 50)


def spectrograms(n=4, frames=50, seed=0):
    return torch.randn(n, 1, 20, frames, generator=torch.Generator().manual_seed(seed))


def pad(x, n):
    return torch.nn.functional.pad(x, (0, n), value=torch.nan)


@pytest.fixture
def encoder():
    """Has running statistics of its own, as after training."""
    torch.manual_seed(0)
    encoder = SpectrogramConv(SHAPE, width=4)
    encoder(3 * spectrograms(32, seed=1) + 1).sum().backward()
    return encoder.eval()


@pytest.mark.parametrize("frames", [1, 2, 16, 17, 31, 50])
@pytest.mark.parametrize("n", [1, 7, 64])
def test_padding_changes_nothing(encoder, frames, n):
    x = spectrograms(frames=frames)
    assert_close(encoder(pad(x, n)), encoder(x), atol=1e-6, rtol=1e-5)


def test_other_rows_change_nothing(encoder):
    x = spectrograms()
    assert_close(encoder(torch.cat([x, 9 * spectrograms(seed=2)]))[:4], encoder(x), atol=1e-6, rtol=1e-5)


def test_order_of_time_and_place_of_frequency_matter(encoder):
    x = spectrograms()
    assert (encoder(x.flip(3)) - encoder(x)).abs().max() > 1e-3
    assert (encoder(x.roll(8, 2)) - encoder(x)).abs().max() > 1e-3


def test_pooling_is_mean_and_maximum_of_existing_steps(encoder):
    mean, largest = encoder(pad(spectrograms(frames=30), 20)).chunk(2, 1)
    assert (mean >= 0).all()
    assert (mean <= largest + 1e-6).all()
    one_frame = encoder(pad(spectrograms(frames=16), 9)).chunk(2, 1)
    assert_close(*one_frame)


def test_width_doubles_with_each_layer():
    assert SpectrogramConv(SHAPE, width=8, n_layers=3).out_features == 2 * 8 * 4


def test_gradients_are_finite_with_padding():
    encoder = SpectrogramConv(SHAPE, width=4)
    encoder(pad(spectrograms(), 13)).square().sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


def test_half_precision_is_pooled_in_float32(encoder):
    x = pad(spectrograms(), 13)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = encoder(x)
    assert embedding.dtype == torch.float32
    assert_close(embedding, encoder(x), atol=0.05, rtol=0.05)
