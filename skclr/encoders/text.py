"""A bag of tokens: the mean of their vectors, which is hard to beat on short texts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.encoders.base import Encoder
from skclr.encoders.dropout import Dropout


class TokenBag(Encoder):
    """The weighted mean of token vectors, normalised to length 1, then optional layers.

    Without normalisation, short texts would be outliers, since means of many vectors are shorter.

    Parameters
    ----------
    input_shape : (L,) tokens, or (L, G) with G ids per word.
    n_tokens : size of the vocabulary.
    table : (n_tokens, d) vectors from which training starts; None for random vectors.
    token_weights : (n_tokens,) weights of the tokens in the mean; None for equal weights.
    width : width of randomly initialised vectors.
    n_layers : number of linear layers after the mean, all but the last with batch normalisation and ReLU.
    dropout : share of the entries of the mean set to 0 in training; unless the text views change tokens, it is the only
        difference between two views.

    References
    ----------
    Gao et al. 2021 (SimCSE), sec. 3, for the dropout. Differs: a mean of static vectors instead of a transformer.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import TokenBag
    >>> TokenBag((12,), n_tokens=50, width=64)(torch.randint(1, 50, (8, 12))).shape
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
        width: int = 256,
        n_layers: int = 0,
        dropout: float = 0.1,
    ) -> None:
        check_sizes(width=width)
        super().__init__()
        vectors = torch.randn(n_tokens, width) if table is None else table.clone()
        self.out_features = vectors.shape[1]
        self.table = nn.Parameter(vectors)
        self.register_buffer("token_weights", torch.ones(n_tokens) if token_weights is None else token_weights.clone())
        self.dropout = Dropout(dropout)
        layers: list[nn.Module] = []
        for _ in range(n_layers - 1):
            linear = nn.Linear(self.out_features, self.out_features, bias=False)
            layers += [linear, nn.BatchNorm1d(self.out_features), nn.ReLU()]
        layers += [nn.Linear(self.out_features, self.out_features)] * (n_layers > 0)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of ids (B, L) or (B, L, G)."""
        mean = mean_of_tokens(x, self.table, self.token_weights)
        return self.layers(self.dropout(F.normalize(mean)))


def mean_of_tokens(x: Tensor, table: Tensor, token_weights: Tensor) -> Tensor:
    """Return the weighted mean of the token vectors of each sample.

    Parameters
    ----------
    x : (B, ...) int64 ids, 0 for padding.
    table : (n_tokens, d) vectors.
    token_weights : (n_tokens,) weights, all above 0.

    Returns
    -------
    (B, d); 0 for a sample without tokens.
    """
    ids = x.flatten(1)
    weights = torch.where(ids > 0, token_weights[ids], 0.0)
    shares = weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    # Sums while reading, so the vectors of all tokens are never in memory at once.
    return F.embedding_bag(ids, table, mode="sum", per_sample_weights=shares.to(table.dtype), padding_idx=0)
