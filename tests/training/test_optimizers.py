import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.training import LARS, OPTIMIZERS, preset_arguments
from skclr.training.optimizers import parameter_groups


def test_lars_follows_the_paper():
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    optimizer = LARS([weight], lr=0.5, momentum=0.9, weight_decay=0.1, trust_coefficient=0.01)
    w, v = weight.detach().clone(), torch.zeros(1, 2, dtype=torch.float64)
    for gradient in ([[1.0, 0.0]], [[0.0, 2.0]], [[-1.0, 1.0]]):
        g = torch.tensor(gradient, dtype=torch.float64)
        weight.grad = g.clone()
        optimizer.step()
        decayed = g + 0.1 * w
        v = 0.9 * v + 0.01 * w.norm() / decayed.norm() * decayed
        w = w - 0.5 * v
        assert_close(weight.detach(), w)


def test_lars_leaves_biases_to_momentum():
    layer = nn.Linear(2, 2)
    optimizer = LARS(parameter_groups(layer.parameters(), weight_decay=0.1), lr=0.5)
    before = layer.bias.detach().clone()
    for p in layer.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert_close(layer.bias.detach(), before - 0.5)


def test_lars_takes_a_zero_weight_off_zero():
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = LARS([weight], lr=0.1)
    weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert_close(weight.detach(), torch.full((2, 2), -0.1))


def test_only_weights_decay():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    weights, others = parameter_groups(net.parameters(), weight_decay=0.1)
    assert [p.ndim for p in weights["params"]] == [2]
    assert [p.ndim for p in others["params"]] == [1, 1, 1]
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_are_in_no_group():
    layer = nn.Linear(3, 3)
    layer.weight.requires_grad_(False)
    (group,) = parameter_groups(layer.parameters(), weight_decay=0.1)
    assert group["params"] == [layer.bias]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_resume_from_their_state(name):
    def run(n_steps, state=None, layer_state=None):
        torch.manual_seed(0)
        layer = nn.Linear(3, 3)
        groups = parameter_groups(layer.parameters(), weight_decay=0.1)
        optimizer = OPTIMIZERS[name](groups, lr=0.1, **preset_arguments(OPTIMIZERS[name], torch.device("cpu")))
        if state:
            layer.load_state_dict(layer_state)
            optimizer.load_state_dict(state)
        for _ in range(n_steps):
            optimizer.zero_grad()
            layer(torch.ones(4, 3)).square().sum().backward()
            optimizer.step()
        return layer, optimizer

    half, optimizer = run(2)
    resumed, _ = run(2, optimizer.state_dict(), half.state_dict())
    assert torch.equal(resumed.weight, run(4)[0].weight)
