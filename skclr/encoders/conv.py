"""A small convolutional network for small images."""

import torch
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
    patch_components : (k, C, 3, 3) whitened principal components of 3×3 patches, largest first. Each is the initial
        value of two filters of the first layer, with both signs; other filters are random. None for random ones only.

    References
    ----------
    Filters from principal components of patches: Krähenbühl et al. 2016, sec. 3; whitened, with both signs, as in
    Jordan 2024 (arXiv:2404.00498), sec. 3.2. Differs: the filters are trained like all others.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import Conv
    >>> Conv((3, 32, 32), width=16)(torch.randn(8, 3, 32, 32)).shape
    torch.Size([8, 128])
    """

    n_dims = 3
    takes_missing = False
    facts = ("patch_components",)

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        width: int = 32,
        n_layers: int = 4,
        patch_components: Tensor | None = None,
    ) -> None:
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
        if patch_components is not None and n_layers > 0:
            _check_components(patch_components, input_shape[0])
            filters = patch_components[: width // 2]
            with torch.no_grad():
                self.layers[0].get_parameter("weight")[: 2 * len(filters)] = torch.cat([filters, -filters])

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of images (B, C, H, W)."""
        return self.layers(x)


def _check_components(components: Tensor, n_channels: int) -> None:
    """Raise a ValueError unless the components are 3×3 filters of this number of channels."""
    if components.shape[1:] != (n_channels, 3, 3) or not components.is_floating_point():
        raise ValueError(
            f"patch_components of shape {tuple(components.shape)} and {components.dtype} cannot be filters of "
            f"{n_channels} channel(s). Pass floats of shape (k, {n_channels}, 3, 3), or None."
        )
