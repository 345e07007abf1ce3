import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.parts.heads import mlp_head


def layers(head, kind):
    return [module for module in head if isinstance(module, kind)]


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_widths_and_depth(n_layers, batch_norm):
    head = mlp_head(5, 7, 3, n_layers=n_layers, batch_norm=batch_norm)
    assert head(torch.randn(4, 5)).shape == (4, 3)
    assert len(layers(head, nn.Linear)) == n_layers
    assert len(layers(head, nn.ReLU)) == n_layers - 1
    assert len(layers(head, nn.BatchNorm1d)) == (n_layers - 1) * batch_norm


def test_layers_are_modules_of_their_own():
    head = mlp_head(5, 7, 3, n_layers=4)
    assert len(set(map(id, head))) == len(head)


def test_output_is_not_rectified():
    torch.manual_seed(0)
    assert (mlp_head(5, 7, 3)(torch.randn(32, 5)) < 0).any()


def test_normalized_output_has_mean_0_and_variance_1_and_nothing_learned():
    torch.manual_seed(0)
    head = mlp_head(5, 7, 3, normalize_output=True)
    z = head(torch.randn(64, 5))
    assert_close(z.mean(dim=0), torch.zeros(3), rtol=0, atol=1e-5)
    assert_close(z.var(dim=0, correction=0), torch.ones(3), rtol=0, atol=1e-2)
    assert not list(head[-1].parameters())


def test_no_bias_where_batch_norm_would_subtract_it():
    hidden, output = layers(mlp_head(5, 7, 3), nn.Linear)
    assert hidden.bias is None
    assert output.bias is not None
    assert layers(mlp_head(5, 7, 3, normalize_output=True), nn.Linear)[-1].bias is None
    assert layers(mlp_head(5, 7, 3, batch_norm=False), nn.Linear)[0].bias is not None
