"""A temporal convolutional network."""

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.missing import masked_mean, split_missing
from skclr.encoders.base import Encoder


class TCN(Encoder):
    """Residual blocks of convolutions over time, each with twice the dilation of the previous one.

    The embedding is the mean and the maximum over time of the output of each block, so that it contains both fine
    detail and features of a long receptive field.

    Parameters
    ----------
    input_shape : (C, T); series may have any length.
    width : number of channels of every layer.
    n_blocks : number of blocks; the embedding has 2 · width · n_blocks features.
    kernel_size : number of steps in a convolution; odd.

    References
    ----------
    Bai et al. 2018, sec. 3. Differs: convolutions are not causal; no dropout, and no normalisation, since statistics
    over padded steps would depend on the padding, and a normalised network was no better; the embedding is the means
    and maxima of all blocks instead of the last step of the last block.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import TCN
    >>> TCN((2, 100), width=32, n_blocks=3)(torch.randn(8, 2, 100)).shape
    torch.Size([8, 192])
    """

    n_dims = 2
    any_length = True

    def __init__(self, input_shape: tuple[int, int], width: int = 64, n_blocks: int = 5, kernel_size: int = 3) -> None:
        check_sizes(width=width, n_blocks=n_blocks, kernel_size=kernel_size)
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: use an odd number, so that the kernel has a centre")
        self.first = nn.Conv1d(input_shape[0], width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width, kernel_size, 2**i) for i in range(n_blocks))
        self.out_features = 2 * width * n_blocks

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, 2 · width · n_blocks) embeddings of series (B, C, T)."""
        x, observed = split_missing(x)
        mask = observed[:, None].to(x.dtype)
        x = self.first(x) * mask
        pooled = []
        for block in self.blocks:
            x = block(x, mask)
            # No value is below 0, the value of padded steps.
            pooled += [masked_mean(x, observed), x.amax(2)]
        return torch.cat(pooled, dim=1)


class ResidualBlock(nn.Module):
    """Two dilated convolutions with a shortcut.

    Parameters
    ----------
    width : number of input and output channels.
    kernel_size : number of steps in a convolution.
    dilation : distance between these steps.
    """

    def __init__(self, width: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.one = nn.Conv1d(width, width, kernel_size, padding="same", dilation=dilation)
        self.other = nn.Conv1d(width, width, kernel_size, padding="same", dilation=dilation)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return a tensor of the same shape as x (B, width, T), 0 where the mask (B, 1, T) is 0."""
        residual = self.other(self.one(x).relu() * mask) * mask
        return (x + residual).relu()
