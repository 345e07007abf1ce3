"""A small convolutional network for small images."""

from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder


class Conv(Encoder):
    """3×3 convolutions that halve the image and double the channels, then global average pooling.

    Parameters
    ----------
    input_shape : (C, H, W).
    width : channels of the first layer.
    n_layers : number of convolutions; the embedding has width · 2^(n_layers − 1) features.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import Conv
    >>> Conv((3, 32, 32), width=16)(torch.randn(8, 3, 32, 32)).shape
    torch.Size([8, 128])
    """

    n_dims = 3
    takes_missing = False

    def __init__(self, input_shape: tuple[int, int, int], width: int = 32, n_layers: int = 4) -> None:
        check_sizes(width=width)
        super().__init__()
        channels, height, width_px = input_shape
        layers: list[nn.Module] = []
        out = width
        for layer in range(n_layers):
            # The first layer halves only images above 16 pixels, and no layer goes below 4 pixels.
            stride = 2 if min(height, width_px) > (4 if layer else 16) else 1
            layers += [
                nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            channels, out = out, 2 * out
            height, width_px = -(-height // stride), -(-width_px // stride)
        self.out_features = channels
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of images (B, C, H, W)."""
        return self.layers(x)
