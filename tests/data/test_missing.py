import torch
from torch.testing import assert_close

from skclr.data.missing import channel_statistics, masked_mean, split_missing

NAN = torch.nan


def test_a_step_exists_if_any_channel_does():
    x = torch.tensor([[[1.0, NAN, NAN], [NAN, 2.0, NAN]]])
    values, there = split_missing(x)
    assert torch.equal(values, torch.tensor([[[1.0, 0, 0], [0, 2.0, 0]]]))
    assert there.tolist() == [[True, True, False]]


def test_masked_mean_is_the_mean_of_existing_steps():
    x = torch.tensor([[[1.0, 3.0, NAN]], [[4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0]]])
    there = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    assert_close(masked_mean(x, there), torch.tensor([[2.0], [5.0], [0.0]]))


def test_statistics_are_those_of_the_values_that_are_there():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, 11, generator=generator) * 4 + 1e4
    x[torch.rand(x.shape, generator=generator) < 0.3] = NAN
    mean, deviation = channel_statistics(x)
    for channel in range(3):
        values = x[:, channel][~x[:, channel].isnan()].double()
        assert_close(mean[channel, 0], values.mean().float())
        assert_close(deviation[channel, 0], values.std(correction=0).float())


def test_channels_that_do_not_vary_are_not_divided():
    x = torch.full((4, 2, 5), 0.1)
    x[:, 1] = NAN
    mean, deviation = channel_statistics(x)
    assert_close(mean, torch.tensor([[0.1], [0.0]]))
    assert torch.equal(deviation, torch.ones(2, 1))
