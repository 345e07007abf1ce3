import pytest
import torch

from skclr.encoders import ENCODERS, MLP, Conv, ResNet18

SHAPES = [("mlp", (7,)), ("mlp", (2, 3, 4))] + [
    (name, shape)
    for name in ("conv", "resnet18")
    for shape in [(1, 8, 8), (3, 32, 32), (3, 28, 20), (6, 5, 40), (3, 64, 64), (1, 1, 1)]
]


def test_every_encoder_is_tried():
    assert {name for name, _ in SHAPES} == set(ENCODERS)


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_embeddings_have_the_width_that_is_told(name, shape):
    encoder = ENCODERS[name](shape)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    embedding = encoder.train()(x)
    assert embedding.shape == (2, encoder.out_features)
    embedding.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_resnet18_has_the_published_number_of_parameters():
    # He et al. 2016: 11,689,512 with ImageNet's classifier of 512 × 1000 weights and 1000 biases.
    n = sum(p.numel() for p in ResNet18((3, 224, 224)).parameters())
    assert n == 11_689_512 - 513_000


def test_resnet_stem_follows_the_image_size():
    def feature_map(shape, stem="auto"):
        return ResNet18(shape, stem).layers[:-2](torch.zeros(2, *shape)).shape[-1]

    assert feature_map((3, 32, 32)) == 4
    assert feature_map((3, 64, 64)) == 2
    assert feature_map((3, 64, 64), "cifar") == 8


def test_unknown_stem():
    with pytest.raises(ValueError, match="stem='tiny': give 'auto', 'cifar' or 'imagenet'"):
        ResNet18((3, 32, 32), "tiny")


def test_conv_doubles_its_channels():
    assert Conv((3, 32, 32), width=16, n_layers=3).out_features == 64


def test_mlp_with_one_layer_is_linear():
    assert len(list(MLP((4,), n_layers=1).parameters())) == 2
