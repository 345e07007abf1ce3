"""Dropout that draws from its own generator instead of torch's global one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skclr.compiling import uncompiled
from skclr.precision import without_autocast


class Dropout(nn.Dropout):
    """torch.nn.Dropout with a generator.

    Attributes
    ----------
    generator : source of randomness; None is torch's global generator, as in `torch.nn.Dropout`.
    """

    generator: torch.Generator | None = None

    @uncompiled
    def forward(self, x: Tensor) -> Tensor:
        """Set random entries to zero in training, and scale the rest so that the expectation is unchanged."""
        if not self.training or self.p == 0 or self.generator is None:
            return super().forward(x)
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * kept.div_(1 - self.p)


class TransformerLayer(nn.TransformerEncoderLayer):
    """torch.nn.TransformerEncoderLayer, pre-norm and batch first, whose dropout has a generator.

    Parameters
    ----------
    width, n_heads, hidden_dim : width of tokens, number of attention heads, width of the feed-forward network.
    dropout : rate, also for the attention weights.
    """

    def __init__(self, width: int, n_heads: int, hidden_dim: int, dropout: float) -> None:
        super().__init__(width, n_heads, hidden_dim, dropout, batch_first=True, norm_first=True)
        self.attention_dropout = Dropout(dropout)
        self.dropout, self.dropout1, self.dropout2 = (Dropout(dropout) for _ in range(3))

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Return tensors of the same shape (B, L, width).

        Parameters
        ----------
        src : the tokens.
        src_mask, is_causal : for `torch.nn.TransformerEncoder`, which passes None and False.
        src_key_padding_mask : (B, L), True or -inf for padding.
        """
        if not self.training or self.dropout.p == 0:
            return super().forward(src, src_mask, src_key_padding_mask, is_causal)
        x = src + self.dropout1(self._attend(self.norm1(src), src_key_padding_mask))
        return x + self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(self.norm2(x))))))

    def _attend(self, x: Tensor, padding: Tensor | None) -> Tensor:
        # The same operations in the same order as torch's attention with dropout on a CPU.
        attention = self.self_attn
        packed = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        shape = (len(x), -1, attention.num_heads, attention.head_dim)
        with without_autocast(x.device):
            query, key, value = (part.reshape(shape).transpose(1, 2) for part in packed.chunk(3, dim=-1))
            scale = math.sqrt(1 / math.sqrt(attention.head_dim))
            weights = (query * scale) @ (key * scale).transpose(-2, -1)  # (B, n_heads, L, L)
            if padding is not None:
                weights = weights + padding[:, None, None].to(weights.dtype)
            mixed = self.attention_dropout(weights.softmax(-1)) @ value
        # Length first in memory, which is the order in which dropout fills its mask.
        return attention.out_proj(mixed.permute(2, 0, 1, 3).flatten(2)).transpose(0, 1)
