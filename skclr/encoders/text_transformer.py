"""A small transformer over tokens."""

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.encoders.dropout import TransformerLayer
from skclr.encoders.sinusoids import sinusoids
from skclr.encoders.text import mean_of_tokens


class TextTransformer(Encoder):
    """A transformer over the words of a text; the embedding is the mean over the words.

    Parameters
    ----------
    input_shape : (L,) tokens, or (L, G) with G ids per word.
    n_tokens : size of the vocabulary.
    table : (n_tokens, d) vectors from which training starts; None for random vectors.
    token_weights : (n_tokens,) weights of the ids in the vector of a word; None for equal weights.
    width : width of the layers and of the embedding.
    n_layers, n_heads : number of layers, and of attention heads in each.
    dropout : dropout rate in each layer.

    References
    ----------
    Vaswani et al. 2017, encoder and positions of sec. 3. Differs: normalisation comes before each layer, not after it;
    all texts start with an extra token, so that empty texts can be embedded too.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import TextTransformer
    >>> TextTransformer((12,), n_tokens=50, width=64)(torch.randint(1, 50, (8, 12))).shape
    torch.Size([8, 64])
    """

    tokens = True
    any_length = True
    token_weights: Tensor
    facts = ("n_tokens", "table", "token_weights")

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_tokens: int,
        table: Tensor | None = None,
        token_weights: Tensor | None = None,
        width: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        check_sizes(width=width, n_layers=n_layers, n_heads=n_heads)
        super().__init__()
        if width % (2 * n_heads):
            raise ValueError(f"width={width}: use a multiple of 2 · n_heads={2 * n_heads}")
        self.out_features = width
        self.table = nn.Parameter(torch.randn(n_tokens, width) if table is None else table.clone())
        self.register_buffer("token_weights", torch.ones(n_tokens) if token_weights is None else token_weights.clone())
        self.to_width = nn.Linear(self.table.shape[1], width)
        self.normalize = nn.LayerNorm(width)
        self.start = nn.Parameter(torch.zeros(width))
        layer = TransformerLayer(width, n_heads, 2 * width, dropout)
        self.layers = nn.TransformerEncoder(layer, n_layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, width) embeddings of ids (B, L) or (B, L, G)."""
        n_samples, length = x.shape[:2]
        is_token = nn.functional.pad(x.view(n_samples, length, -1).any(2), (1, 0), value=True)
        words = mean_of_tokens(x.reshape(n_samples * length, -1), self.table, self.token_weights)
        words = self.normalize(self.to_width(words)).view(n_samples, length, -1)
        # Position 0 is that of the start token.
        words = words + torch.cat(sinusoids(torch.arange(1, length + 1, device=x.device), self.out_features), dim=1)
        words = torch.cat([self.start.expand(n_samples, 1, -1), words], dim=1)  # (B, 1 + L, width)
        words = self.layers(words, src_key_padding_mask=~is_token)
        return (words * is_token.unsqueeze(2)).sum(1) / is_token.sum(1, keepdim=True)
