import pytest
import torch
from torch import nn

from skclr.encoders import ENCODERS, MLP, Conv, ResNet18, ResNet34, ResNet50

SHAPES = [
    ("mlp", (7,)),
    ("mlp", (2, 3, 4)),
    ("residual_mlp", (7,)),
    ("on_features", (7,)),
    ("feature_transformer", (7,)),
] + [
    (name, shape)
    for name in ("conv", "resnet18", "resnet34", "resnet50")
    for shape in [(1, 8, 8), (3, 32, 32), (3, 28, 20), (6, 5, 40), (3, 64, 64), (1, 1, 1)]
]


# What takes no plain samples is tried in a file of its own.
ELSEWHERE = {"timm", "tcn", "gru", "lstm", "series_transformer", "spectrogram"} | {
    "text",
    "text_transformer",
    "sentence_transformer",
}


def test_every_encoder_is_tried():
    assert {name for name, _ in SHAPES} | ELSEWHERE == set(ENCODERS)


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_embeddings_have_the_declared_width(name, shape):
    encoder = ENCODERS[name](shape)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    embedding = encoder.train()(x)
    assert embedding.shape == (2, encoder.out_features)
    embedding.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


@pytest.mark.parametrize(
    ("encoder", "published"),
    [(ResNet18, 11_689_512), (ResNet34, 21_797_672), (ResNet50, 25_557_032)],
)
def test_resnets_have_the_published_number_of_parameters(encoder, published):
    # With ImageNet's classifier of 1000 classes, weights and biases.
    network = encoder((3, 224, 224))
    assert sum(p.numel() for p in network.parameters()) == published - 1000 * (network.out_features + 1)


def test_resnet_stem_follows_the_image_size():
    def feature_map(shape, stem="auto"):
        network = ResNet18(shape, stem)
        stages = [network.conv1, network.maxpool, network.layer1, network.layer2, network.layer3, network.layer4]
        return nn.Sequential(*stages)(torch.zeros(2, *shape)).shape[-1]

    assert feature_map((3, 32, 32)) == 4
    assert feature_map((3, 64, 64)) == 2
    assert feature_map((3, 64, 64), "cifar") == 8


def test_unknown_stem():
    with pytest.raises(ValueError, match="stem='tiny': use 'auto', 'cifar' or 'imagenet'"):
        ResNet18((3, 32, 32), "tiny")


def test_conv_doubles_its_channels():
    assert Conv((3, 32, 32), width=16, n_layers=3).out_features == 64


def test_mlp_with_one_layer_is_linear():
    assert len(list(MLP((4,), n_layers=1).parameters())) == 2


@pytest.mark.parametrize(("width", "n_components"), [(8, 3), (8, 4), (8, 9), (7, 9), (1, 2), (8, 0)])
def test_conv_begins_with_both_signs_of_the_components_and_random_filters(width, n_components):
    components = torch.randn(n_components, 3, 3, 3, generator=torch.Generator().manual_seed(0))

    def filters(**params):
        torch.manual_seed(0)
        return Conv((3, 8, 8), width=width, n_layers=1, **params).layers[0].weight

    began, random = filters(patch_components=components), filters()
    n = min(n_components, width // 2)
    assert torch.equal(began[:n], components[:n])
    assert torch.equal(began[n : 2 * n], -components[:n])
    assert torch.equal(began[2 * n :], random[2 * n :])
    assert began.requires_grad


@pytest.mark.parametrize(
    "components",
    [
        torch.ones(4, 3, 5, 5),
        torch.ones(4, 1, 3, 3),
        torch.ones(4, 3, 1, 1),
        torch.ones(4, 27),
        torch.tensor(1.0),
        torch.ones(4, 3, 3, 3, dtype=torch.int64),
        torch.ones(4, 3, 3, 3, dtype=torch.complex64),
    ],
    ids=lambda components: f"{tuple(components.shape)} {components.dtype}",
)
def test_conv_refuses_components_that_are_no_filters(components):
    with pytest.raises(ValueError, match=r"^patch_components of shape .* floats of shape \(k, 3, 3, 3\), or None.$"):
        Conv((3, 8, 8), patch_components=components)


def test_conv_without_layers_has_no_filters():
    assert Conv((3, 8, 8), n_layers=0, patch_components=torch.ones(2, 3, 3, 3))(torch.ones(2, 3, 8, 8)).shape == (2, 3)
