"""A transformer over the patches of a series."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.missing import masked_mean, split_missing
from skclr.encoders.base import Encoder
from skclr.encoders.sinusoids import sinusoids

# Number of patches of the longest series in `fit`; the cost of attention grows with its square.
_PATCHES = 64


class SeriesTransformer(Encoder):
    """A transformer over patches of a series; the embedding is the mean over the patches.

    Parameters
    ----------
    input_shape : (C, T); series may have any length.
    width : width of a patch and of the embedding.
    n_layers, n_heads : number of layers, and of attention heads in each; n_heads divides width.
    patch_size : number of steps in a patch; None divides T steps into 64 patches.

    References
    ----------
    Vaswani et al. 2017, sec. 3, with normalisation before each sublayer (Xiong et al. 2020); patches: Nie et al. 2023
    (PatchTST), sec. 3.1. Differs: patches do not overlap and hold all channels; no dropout; the mean over patches is
    the embedding.

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
            raise ValueError(f"width={width}: use an even number divisible by n_heads={n_heads}")
        channels, length = input_shape
        self.patch_size = patch_size or math.ceil(length / _PATCHES)
        self.patches = nn.Conv1d(channels, width, self.patch_size, stride=self.patch_size)
        # Built one by one, since nn.TransformerEncoder starts all its layers from the same weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, n_heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, width) embeddings of series (B, C, T)."""
        x, observed = split_missing(x)
        rest = -x.shape[2] % self.patch_size
        observed = F.pad(observed, (0, rest)).view(x.shape[0], -1, self.patch_size).any(2)
        tokens = self.patches(F.pad(x, (0, rest))).mT
        waves = sinusoids(torch.arange(tokens.shape[1], device=x.device), tokens.shape[2])
        tokens = tokens + torch.stack(waves, dim=2).flatten(1)
        # A series without any step attends to zeros, since a softmax over nothing is NaN.
        ignored = ~observed & observed.any(1, keepdim=True)
        for layer in self.layers:
            tokens = layer(tokens, src_key_padding_mask=ignored)
        return masked_mean(self.norm(tokens).mT, observed)
