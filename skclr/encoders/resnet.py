"""Residual networks, with torchvision's names for their parameters."""

from abc import ABC
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from skclr.encoders.base import Encoder

# Images with shorter sides would be reduced to almost nothing by ImageNet's stem.
_SMALL_IMAGE = 64


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut.

    Parameters
    ----------
    in_channels, channels : number of input and of output channels.
    stride : stride of the first convolution.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        residual = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(residual)) + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3×3 convolution with few channels between two 1×1 convolutions, with a shortcut.

    Parameters
    ----------
    in_channels, channels : number of input channels, and of channels in the middle; the output has four times as many.
    stride : stride of the 3×3 convolution.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = self.expansion * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, 4 · channels, H / stride, W / stride)."""
        residual = relu(self.bn1(self.conv1(x)))
        residual = relu(self.bn2(self.conv2(residual)))
        return relu(self.bn3(self.conv3(residual)) + self.downsample(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build the shortcut of a block: the identity if the shapes match, else a 1×1 convolution."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


class ResNet(Encoder, ABC):
    """A residual network up to global average pooling; `ResNet18` describes the parameters and the source."""

    n_dims = 3
    takes_missing = False
    block: ClassVar[type[BasicBlock] | type[Bottleneck]]
    depths: ClassVar[tuple[int, int, int, int]]

    def __init__(self, input_shape: tuple[int, int, int], stem: str = "auto") -> None:
        super().__init__()
        if stem not in ("auto", "cifar", "imagenet"):
            raise ValueError(f"stem={stem!r}: use 'auto', 'cifar' or 'imagenet'")
        channels, height, width = input_shape
        small = stem == "cifar" or (stem == "auto" and min(height, width) < _SMALL_IMAGE)
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(channels, 64, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool: nn.Module = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.out_features = 64
        self.layer1 = self._stage(64, self.depths[0], stride=1)
        self.layer2 = self._stage(128, self.depths[1], stride=2)
        self.layer3 = self._stage(256, self.depths[2], stride=2)
        self.layer4 = self._stage(512, self.depths[3], stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of images (B, C, H, W)."""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))

    def _stage(self, channels: int, depth: int, stride: int) -> nn.Sequential:
        blocks = []
        for i in range(depth):
            blocks.append(self.block(self.out_features, channels, 1 if i else stride))
            self.out_features = self.block.expansion * channels
        return nn.Sequential(*blocks)


class ResNet18(ResNet):
    """ResNet-18, with 512 features.

    Parameters
    ----------
    input_shape : (C, H, W).
    stem : "cifar" (3×3, stride 1, no pooling), "imagenet" (7×7, stride 2, pooling), or "auto", which is
        "cifar" for images under 64 pixels.

    Notes
    -----
    With three channels and the ImageNet stem, weights of torchvision's network of the same name can be loaded by
    `load_state_dict(weights, strict=False)`, which ignores their classifier.

    References
    ----------
    He et al. 2016, table 1; the CIFAR stem as in Chen et al. 2020, appendix B.9. Differs: a bottleneck has its stride
    in the 3×3 convolution, as in torchvision and in papers on self-supervision. The scale of the last BatchNorm of a
    block starts at one as in the paper, not at zero.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import ResNet18
    >>> ResNet18((3, 32, 32), stem="cifar")(torch.randn(8, 3, 32, 32)).shape
    torch.Size([8, 512])
    """

    block = BasicBlock
    depths = (2, 2, 2, 2)


class ResNet34(ResNet):
    """ResNet-34, with 512 features.

    Weights of torchvision can be loaded as in `ResNet18`.

    Parameters
    ----------
    input_shape : (C, H, W).
    stem : "cifar" for small images, "imagenet" for others, or "auto", as in `ResNet18`.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import ResNet34
    >>> ResNet34((3, 32, 32), stem="cifar")(torch.randn(8, 3, 32, 32)).shape
    torch.Size([8, 512])
    """

    block = BasicBlock
    depths = (3, 4, 6, 3)


class ResNet50(ResNet):
    """ResNet-50, with 2,048 features.

    Weights of torchvision can be loaded as in `ResNet18`.

    Parameters
    ----------
    input_shape : (C, H, W).
    stem : "cifar" for small images, "imagenet" for others, or "auto", as in `ResNet18`.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import ResNet50
    >>> ResNet50((3, 32, 32), stem="imagenet")(torch.randn(8, 3, 32, 32)).shape
    torch.Size([8, 2048])
    """

    block = Bottleneck
    depths = (3, 4, 6, 3)
