"""torchvision's weights in our residual networks give torchvision's features."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.encoders import ResNet18, ResNet34, ResNet50

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("encoder", [ResNet18, ResNet34, ResNet50])
def test_torchvisions_weights_fit(encoder):
    torchvision = pytest.importorskip("torchvision")
    print(f"\ntorchvision {torchvision.__version__}, torch {torch.__version__}")
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, encoder.__name__.lower())(weights=None)
    x = torch.randn(2, 3, 96, 80, generator=torch.Generator().manual_seed(0))
    # Statistics and affine parameters of BatchNorm that are not those of a new network.
    with torch.no_grad():
        theirs(x)
        for module in theirs.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
    ours = encoder((3, 96, 80))
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert (missing, unexpected) == ([], ["fc.weight", "fc.bias"])
    theirs.fc = nn.Identity()
    assert_close(ours.eval()(x), theirs.eval()(x))
