import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from skclr.encoders import GRU, LSTM, TCN, SeriesTransformer
from skclr.encoders.recurrent import _run
from skclr.encoders.sinusoids import sinusoids

SERIES = [TCN, GRU, LSTM, SeriesTransformer]
every_encoder = pytest.mark.parametrize("encoder", SERIES)


def make(encoder, shape=(3, 24), seed=0, **params):
    torch.manual_seed(seed)
    return encoder(shape, **params)


def noise(n=5, channels=3, length=24, seed=0):
    return torch.randn(n, channels, length, generator=torch.Generator().manual_seed(seed))


def shuffle_steps(x):
    return x[:, :, torch.randperm(x.shape[2], generator=torch.Generator().manual_seed(1))]


@every_encoder
@pytest.mark.parametrize("shape", [(1, 1), (1, 150), (12, 29), (2, 8)])
def test_embeddings_have_the_declared_width(encoder, shape):
    encoder = make(encoder, shape)
    embedding = encoder(noise(2, *shape))
    assert embedding.shape == (2, encoder.out_features)
    embedding.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


@every_encoder
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(encoder, training):
    # In training too: what normalises must not see the padding.
    encoder, x = make(encoder).train(training), noise()
    x[1, :, 15:] = x[2, :, 1:] = torch.nan
    assert_close(encoder(F.pad(x, (0, 17), value=torch.nan)), encoder(x), atol=1e-5, rtol=1e-5)


@every_encoder
def test_a_short_series_is_embedded_as_if_it_were_alone(encoder):
    encoder, x = make(encoder).eval(), noise()
    x[1, :, 15:] = torch.nan
    assert_close(encoder(x)[1], encoder(x[1:2, :, :15])[0], atol=1e-5, rtol=1e-5)


@every_encoder
def test_the_batch_changes_nothing(encoder):
    encoder, x = make(encoder).eval(), noise()
    x[1, :, 15:] = torch.nan
    assert_close(encoder(x[[3, 1]]), encoder(x)[[3, 1]], atol=1e-5, rtol=1e-5)


@every_encoder
def test_a_missing_value_is_the_mean(encoder):
    encoder, x = make(encoder).eval(), noise()
    x[0, 1, 4] = 0.0
    expected = encoder(x)
    x[0, 1, 4] = torch.nan
    assert_close(encoder(x), expected)


@every_encoder
def test_a_series_without_any_step_stays_finite(encoder):
    encoder, x = make(encoder), noise()
    x[2] = torch.nan
    encoder(x).sum().backward()
    assert encoder(x).isfinite().all()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@every_encoder
def test_the_order_of_steps_is_seen(encoder):
    encoder, x = make(encoder).eval(), noise()
    assert (encoder(x) - encoder(shuffle_steps(x))).abs().max() > 1e-3


@every_encoder
def test_the_input_is_not_written_to(encoder):
    x = noise()
    x[1, :, 15:] = torch.nan
    before = x.clone()
    make(encoder)(x)
    assert_close(x, before, equal_nan=True, atol=0, rtol=0)


# -- recurrent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [GRU, LSTM])
def test_states_are_those_of_a_packed_sequence(encoder):
    layers, lengths = make(encoder, n_layers=2).forwards, torch.tensor([24, 7, 15])
    x, there = noise(3), torch.arange(24) < lengths[:, None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x.mT, lengths, batch_first=True, enforce_sorted=False)
    states = torch.nn.utils.rnn.pad_packed_sequence(layers(packed)[0], batch_first=True)[0]
    assert_close(_run(layers, x, there), states.sum(1) / lengths[:, None], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", [GRU, LSTM])
def test_a_step_that_is_not_there_is_passed_over(encoder):
    encoder, x = make(encoder).eval(), noise()
    gaps = torch.full((5, 3, 40), torch.nan)
    gaps[:, :, 3:15], gaps[:, :, 20:32] = x[:, :, :12], x[:, :, 12:]
    assert_close(encoder(gaps), encoder(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", [GRU, LSTM])
def test_one_direction_reads_backwards(encoder):
    encoder, x = make(encoder, width=8).eval(), noise()
    encoder.backwards.load_state_dict(encoder.forwards.state_dict())
    one, other = encoder(x).chunk(2, 1)
    assert_close(encoder(x.flip(2)), torch.cat([other, one], 1), atol=1e-5, rtol=1e-5)


# -- transformer ------------------------------------------------------------------------------------


def test_patches_are_few_and_the_last_may_be_shorter():
    assert make(SeriesTransformer, (1, 24)).patch_size == 1
    assert make(SeriesTransformer, (1, 150)).patch_size == 3
    encoder = make(SeriesTransformer, patch_size=5)
    x = noise(length=23)
    assert_close(encoder(x), encoder(F.pad(x, (0, 2))), atol=1e-5, rtol=1e-5)


def test_positions_are_vaswanis():
    sines, cosines = sinusoids(torch.arange(7), 6)
    for position in range(7):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert sines[position, i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert cosines[position, i].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_layers_do_not_start_alike():
    one, other = make(SeriesTransformer, n_layers=2).layers
    assert not torch.equal(one.linear1.weight, other.linear1.weight)


@pytest.mark.parametrize("params", [{"width": 9, "n_heads": 3}, {"width": 10, "n_heads": 4}])
def test_width_that_does_not_divide(params):
    with pytest.raises(ValueError, match=f"width={params['width']}: use an even number divisible by n_heads="):
        make(SeriesTransformer, **params)


# -- convolutional ----------------------------------------------------------------------------------


def test_each_block_sees_twice_as_far():
    # Two convolutions of three steps, dilated by 1, 2 and 4: 14 steps to either side.
    encoder, x = make(TCN, (1, 101), n_blocks=3), noise(1, 1, 101)
    seen = []
    encoder.blocks[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    encoder(x)
    x[0, 0, 50] += 1
    encoder(x)
    changed = (seen[0] != seen[1]).any(1)[0].nonzero().flatten()
    assert (changed.min(), changed.max()) == (50 - 14, 50 + 14)


def test_even_kernel():
    with pytest.raises(ValueError, match="kernel_size=4: use an odd number"):
        make(TCN, kernel_size=4)
