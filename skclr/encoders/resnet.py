"""Residual networks."""

from torch import Tensor, nn

from skclr.parts.encoder import Encoder

# Images below this many pixels a side would be gone after ImageNet's stem.
_SMALL_IMAGE = 64


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a way around them.

    Parameters
    ----------
    in_channels, channels : before and after.
    stride : of the first convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        return nn.functional.relu(self.residual(x) + self.shortcut(x))


class ResNet18(Encoder):
    """ResNet-18 up to the mean over the image: 512 features.

    Parameters
    ----------
    input_shape : (C, H, W).
    stem : "cifar" (3×3, stride 1, no pooling), "imagenet" (7×7, stride 2, pooling), or "auto", which is
        "cifar" for images under 64 pixels.

    References
    ----------
    He et al. 2016, table 1; the CIFAR stem as in Chen et al. 2020, appendix B.9. Differs: none.
    """

    out_features = 512

    def __init__(self, input_shape: tuple[int, int, int], stem: str = "auto") -> None:
        super().__init__()
        if stem not in ("auto", "cifar", "imagenet"):
            raise ValueError(f"stem={stem!r}: give 'auto', 'cifar' or 'imagenet'")
        channels, height, width = input_shape
        small = stem == "cifar" or (stem == "auto" and min(height, width) < _SMALL_IMAGE)
        layers: list[nn.Module] = [
            nn.Conv2d(channels, 64, 3, padding=1, bias=False)
            if small
            else nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        ]
        if not small:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        in_channels = 64
        for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            layers += [BasicBlock(in_channels, out, stride), BasicBlock(out, out, 1)]
            in_channels = out
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, C, H, W) to (B, 512)."""
        return self.layers(x)
