"""A small convolutional network for spectrograms of unequal lengths."""

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.precision import at_least_float32


class SpectrogramConv(Encoder):
    """3×3 convolutions that halve frequency and time and double the channels, then mean and maximum over time.

    Before pooling, a layer spans the remaining frequency axis: unlike the position in time, the position in frequency
    matters.

    Parameters
    ----------
    input_shape : (C, n_mels, frames).
    width : channels of the first layer.
    n_layers : number of 3×3 convolutions; the embedding has width · 2^n_layers features.

    Notes
    -----
    Frames of padding (NaN) are set to 0 before every layer, like the border, so that embeddings do not depend on
    padding. Only the batch statistics in training include them.

    References
    ----------
    Mean and maximum over time: Kong et al. 2020 (PANNs), sec. II-D. Differs: concatenated instead of added, and
    frequency is mapped by a layer instead of averaged.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import SpectrogramConv
    >>> SpectrogramConv((1, 64, 100), width=8)(torch.randn(8, 1, 64, 100)).shape
    torch.Size([8, 128])
    """

    n_dims = 3
    any_length = True

    def __init__(self, input_shape: tuple[int, int, int], width: int = 16, n_layers: int = 4) -> None:
        check_sizes(width=width)
        super().__init__()
        channels, n_mels, _ = input_shape
        out = width
        self.halving = nn.ModuleList()
        for _ in range(n_layers):
            self.halving.append(_layer(nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)))
            channels, out, n_mels = out, 2 * out, -(-n_mels // 2)
        self.spanning = _layer(nn.Conv2d(channels, channels, (n_mels, 1), bias=False))
        self.out_features = 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of spectrograms (B, C, n_mels, frames)."""
        observed = ~x[:, :1, :1].isnan()
        # Convolutions run faster with channels last in memory; with one channel, only a clone sets that layout.
        x = x.masked_fill(~observed, 0.0).clone(memory_format=torch.channels_last)
        for layer in self.halving:
            # The middle one of an output's three frames decides, so that a clip has as many frames as without padding.
            observed = observed[..., ::2]
            x = layer(x)
            x = x * observed.to(x.dtype)
        x = at_least_float32(self.spanning(x) * observed).flatten(2)  # (B, d, frames)
        # No value is below 0, so padding is never the maximum.
        return torch.cat([x.sum(2) / observed.sum(3)[:, 0], x.amax(2)], 1)


def _layer(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())
