"""Dropout that draws from a generator of its own, where torch's draws from the global one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skclr.precision import without_autocast


class Dropout(nn.Dropout):
    """torch's dropout with a generator.

    Attributes
    ----------
    generator : what it draws from; None is torch's global one, as for `torch.nn.Dropout`.
    """

    generator: torch.Generator | None = None

    @torch.compiler.disable
    def forward(self, x: Tensor) -> Tensor:
        """Set entries to zero in training and scale the rest, so that the expectation is the same."""
        if not self.training or self.p == 0 or self.generator is None:
            return super().forward(x)
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * kept.div_(1 - self.p)


class TransformerLayer(nn.TransformerEncoderLayer):
    """torch's layer with normalisation first and batch first, whose dropout has a generator.

    Parameters
    ----------
    width, n_heads, hidden_dim : of the embedding, the attention and the feed-forward network.
    dropout : rate, of the attention weights too.
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
        """Take (B, L, width) to the same shape.

        Parameters
        ----------
        src : the tokens.
        src_mask, is_causal : for `torch.nn.TransformerEncoder`, which passes None and False.
        src_key_padding_mask : (B, L), what is no token: True, or minus infinity.
        """
        if not self.training or self.dropout.p == 0:
            return super().forward(src, src_mask, src_key_padding_mask, is_causal)
        x = src + self.dropout1(self._attend(self.norm1(src), src_key_padding_mask))
        return x + self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(self.norm2(x))))))

    def _attend(self, x: Tensor, padding: Tensor | None) -> Tensor:
        # As torch computes attention with dropout on a CPU, operation by operation.
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
        # Length first in memory: the order in which dropout fills its mask.
        return attention.out_proj(mixed.permute(2, 0, 1, 3).flatten(2)).transpose(0, 1)
