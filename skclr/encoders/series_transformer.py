"""A transformer over the patches of a series."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.missing import masked_mean, split_missing
from skclr.encoders.base import Encoder
from skclr.encoders.sinusoids import sinusoids

# Patches of the longest series in `fit`: attention grows with their square.
_PATCHES = 64


class SeriesTransformer(Encoder):
    """Cut a series into patches, let all attend to all, and take the mean.

    Parameters
    ----------
    input_shape : (C, T); a series of any length is taken.
    width : of a patch, and of the embedding.
    n_layers, n_heads : of attention; n_heads divides width.
    patch_size : steps of a patch; None is as many as make 64 patches of T steps.

    References
    ----------
    Vaswani et al. 2017, sec. 3, with the normalisation before each sublayer (Xiong et al. 2020); patches: Nie et
    al. 2023 (PatchTST), sec. 3.1. Differs: patches do not overlap and hold all channels; no dropout; the mean over
    patches is the embedding.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import SeriesTransformer
    >>> SeriesTransformer((2, 100), width=64)(torch.randn(8, 2, 100)).shape
    torch.Size([8, 64])
    """

    n_dims = 2
    any_length = True

    def __init__(
        self,
        input_shape: tuple[int, int],
        width: int = 128,
        n_layers: int = 3,
        n_heads: int = 4,
        patch_size: int | None = None,
    ) -> None:
        check_sizes(width=width, n_layers=n_layers, n_heads=n_heads)
        super().__init__()
        if width % 2 or width % n_heads:
            raise ValueError(f"width={width}: give an even number that n_heads={n_heads} divides")
        channels, length = input_shape
        self.patch_size = patch_size or math.ceil(length / _PATCHES)
        self.patches = nn.Conv1d(channels, width, self.patch_size, stride=self.patch_size)
        # One by one: nn.TransformerEncoder starts all its layers from the same weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, n_heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, C, T) to (B, width)."""
        x, there = split_missing(x)
        rest = -x.shape[2] % self.patch_size
        there = F.pad(there, (0, rest)).view(x.shape[0], -1, self.patch_size).any(2)
        tokens = self.patches(F.pad(x, (0, rest))).mT
        waves = sinusoids(torch.arange(tokens.shape[1], device=x.device), tokens.shape[2])
        tokens = tokens + torch.stack(waves, dim=2).flatten(1)
        # A series without any step attends to zeros: a softmax over nothing is NaN.
        ignored = ~there & there.any(1, keepdim=True)
        for layer in self.layers:
            tokens = layer(tokens, src_key_padding_mask=ignored)
        return masked_mean(self.norm(tokens).mT, there)
