import copy
import pickle
import sys

import pytest
import torch

from skclr import ContrastiveEmbedder
from skclr.encoders import ENCODERS
from skclr.encoders.timm import Timm


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


def images(*shape):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))


# A network without size, one with the size of its images, one that is wider at its end than its last map.
@pytest.mark.parametrize("model", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 48, 32), (7, 64, 64)])
def test_models_are_made_for_the_images_at_hand(timm, model, shape):
    encoder = ENCODERS["timm"](shape, model=model)
    embedding = encoder(images(*shape))
    assert embedding.shape == (2, encoder.out_features)
    embedding.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_the_network_is_timms(timm):
    torch.manual_seed(0)
    ours = Timm((3, 32, 32), "resnet18").eval()
    torch.manual_seed(0)
    theirs = timm.create_model("resnet18", num_classes=0).eval()
    assert torch.equal(ours(images(3, 32, 32)), theirs(images(3, 32, 32)))


def test_parameters_go_to_timm(timm):
    encoder = Timm((3, 64, 64), "vit_tiny_patch16_224", depth=2, dynamic_img_size=True)
    assert len(encoder.network.blocks) == 2
    assert encoder(images(3, 32, 32)).shape == (2, 192)


def test_in_an_embedder(timm, quick, digits):
    X, _ = digits
    params = {"model": "vit_tiny_patch16_224", "patch_size": 4, "depth": 1}
    embedder = quick(encoder="timm", encoder_params=params).fit(X)
    expected = embedder.transform(X[:5])
    assert expected.shape == (5, 192)
    for twin in (copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):
        assert (twin.transform(X[:5]) == expected).all()


def test_nested_parameters_reach_it():
    embedder = ContrastiveEmbedder(encoder="timm").set_params(encoder__model="resnet10t", encoder__drop_rate=0.1)
    assert embedder.encoder_params == {"model": "resnet10t", "drop_rate": 0.1}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": "resnet_18"}, r"model='resnet_18' is not known to timm: did you mean 'resnet18' or .*list_models"),
        ({"model": "?"}, r"model='\?' is not known to timm: see timm.list_models\(\) for all"),
        ({"depths": 3}, r"encoder_params=\{'depths': 3\}: timm's resnet18 does not take them .*'depths'"),
    ],
)
def test_wrong_parameters(timm, params, message):
    with pytest.raises(ValueError, match=message):
        Timm((3, 32, 32), **params)


def test_without_timm_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"encoder='timm' needs the package timm"):
        Timm((3, 32, 32))
