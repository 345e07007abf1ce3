import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.encoders import Preprocessed
from skclr.frameworks import FRAMEWORKS
from skclr.training.chunks import in_chunks

SIZES = {"moco": {"queue_size": 30}, "swav": {"n_prototypes": 7}, "dino": {"n_prototypes": 7}}


def build(name, *layers):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), *layers, nn.ReLU(), nn.Linear(16, 8))
    return FRAMEWORKS[name](Preprocessed(nn.Identity(), network, torch.zeros(2, 6)), **SIZES.get(name, {})).double()


def step(framework, chunk_size):
    """Return the loss of 10 samples, always the same; `backward` finds the network as it is then."""
    generator = torch.Generator().manual_seed(1)
    views = [torch.randn(10, 6, dtype=torch.float64, generator=generator) for _ in range(2)]
    torch.manual_seed(2)
    with in_chunks(framework, chunk_size) if chunk_size else nullcontext():
        return framework(views, torch.arange(10))


def gradients(framework, chunk_size):
    step(framework, chunk_size).backward()
    return {name: parameter.grad for name, parameter in framework.named_parameters()}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_gradients_are_those_of_the_batch_at_once(name):
    assert_close(gradients(build(name), 3), gradients(build(name), None), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(16)], ids=["dropout", "batch_norm"])
def test_second_pass_repeats_the_first(layer):
    """The slope of the loss tells: other masks, or other statistics, would have another."""
    framework = build("simclr", layer)
    weight = framework.encoder.network[0].weight
    slope = gradients(framework, 3)["encoder.network.0.weight"][2, 3]
    losses = []
    for shift in (1e-5, -2e-5):
        with torch.no_grad():
            weight[2, 3] += shift
        losses.append(step(framework, 3).item())
    assert_close(slope.item(), (losses[0] - losses[1]) / 2e-5, rtol=1e-6, atol=1e-8)


def test_statistics_move_once():
    framework = build("simclr", nn.BatchNorm1d(16))
    twin = copy.deepcopy(framework)
    gradients(framework, 5)
    step(twin, 5)
    assert_close(dict(framework.named_buffers()), dict(twin.named_buffers()))
    assert framework.encoder.network[1].num_batches_tracked == 4


def test_nothing_but_the_samples_is_kept():
    encoder, x, kept = build("simclr").encoder, torch.randn(100, 6, dtype=torch.float64), []
    with in_chunks(encoder, 4), torch.autograd.graph.saved_tensors_hooks(kept.append, lambda _: None):
        encoder(x)
    # Empty tensors hold nothing: checkpoints of torch 2.7 hang on one.
    assert {tensor.untyped_storage().data_ptr() for tensor in kept if len(tensor)} == {x.untyped_storage().data_ptr()}
    assert "forward" not in vars(encoder)
