"""A temporal convolutional network."""

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.missing import masked_mean, split_missing
from skclr.encoders.base import Encoder


class TCN(Encoder):
    """Residual blocks of convolutions over time, each block looking twice as far as the one before.

    The embedding is the mean and the maximum over time of what each block gives, so that level and fine detail
    stay beside what only a long stretch shows.

    Parameters
    ----------
    input_shape : (C, T); a series of any length is taken.
    width : channels of every layer.
    n_blocks : number of blocks; the embedding has 2 · width · n_blocks features.
    kernel_size : steps that a convolution looks at; odd.

    References
    ----------
    Bai et al. 2018, sec. 3. Differs: looks both ways in time; no dropout, and no normalisation: statistics over
    padded steps would let the padding in, and a normalised network was no better; means and maxima of all
    blocks are the embedding, instead of the last step of the last.

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
            raise ValueError(f"kernel_size={kernel_size}: give an odd number, as many steps before as after")
        self.first = nn.Conv1d(input_shape[0], width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width, kernel_size, 2**i) for i in range(n_blocks))
        self.out_features = 2 * width * n_blocks

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, C, T) to (B, 2 · width · n_blocks)."""
        x, there = split_missing(x)
        mask = there[:, None].to(x.dtype)
        x = self.first(x) * mask
        pooled = []
        for block in self.blocks:
            x = block(x, mask)
            # No value is below the 0 of steps that are not there.
            pooled += [masked_mean(x, there), x.amax(2)]
        return torch.cat(pooled, dim=1)


class ResidualBlock(nn.Module):
    """Two dilated convolutions and a way around them.

    Parameters
    ----------
    width : channels before and after.
    kernel_size : steps that a convolution looks at.
    dilation : distance between these steps.
    """

    def __init__(self, width: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.one = nn.Conv1d(width, width, kernel_size, padding="same", dilation=dilation)
        self.other = nn.Conv1d(width, width, kernel_size, padding="same", dilation=dilation)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Take (B, width, T) to the same shape; 0 stays where the mask (B, 1, T) is 0."""
        residual = self.other(self.one(x).relu() * mask) * mask
        return (x + residual).relu()
