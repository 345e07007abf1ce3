import torch

from skclr.parts.clock import Clock


def test_state_dict_remembers_progress_to_the_bit():
    clock, other = Clock(), Clock()
    clock.progress = 1 / 3
    other.load_state_dict(clock.state_dict())
    assert other.progress == 1 / 3


def test_state_stays_on_the_host_as_it_is():
    clock = Clock()
    clock.progress = 0.1
    (state,) = clock.to(torch.float16).state_dict().values()
    assert state.dtype == torch.float64
    assert state.item() == 0.1
