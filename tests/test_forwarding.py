from contextlib import suppress

import torch
from torch import nn

from skclr.forwarding import forward_replaced


def doubled(module, x):
    return 2 * type(module).forward(module, x)


def test_a_forward_is_replaced_for_the_block_alone():
    layers, x, seen = [nn.Linear(2, 2), nn.Linear(2, 2)], torch.ones(1, 2), []
    expected = [layer(x) for layer in layers]
    layers[0].register_forward_hook(lambda *_: seen.append(1))
    with suppress(ZeroDivisionError), forward_replaced(iter(layers), doubled):
        for layer, y in zip(layers, expected, strict=True):
            assert torch.equal(layer(x), 2 * y)
        raise ZeroDivisionError
    assert seen == [1]
    for layer, y in zip(layers, expected, strict=True):
        assert torch.equal(layer(x), y)
        assert "forward" not in vars(layer)
