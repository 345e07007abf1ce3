"""Sinkhorn's algorithm: soft assignments that use all prototypes equally."""

import torch
from torch import Tensor

from skclr.precision import at_least_float32
from skclr.ranks.collectives import world


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, n_iterations: int = 3, extra: Tensor | None = None) -> Tensor:
    """Return codes for scores: each row is a distribution, and all prototypes are used about equally.

    Parameters
    ----------
    scores : (B, K) similarities of samples and prototypes.
    epsilon : smoothness of the codes; towards 0 they become one-hot.
    n_iterations : rounds of normalising the columns, then the rows.
    extra : (Q, K) further scores that are balanced together with those of the batch; the same on all ranks.

    Returns
    -------
    (B, K) in float32 or wider, without gradient; rows sum to 1, columns to about B / K.

    References
    ----------
    Caron et al. 2020 (SwAV), eq. 3 to 5; Cuturi 2013. Differs: works on logarithms, so that nothing overflows or
    underflows (logsumexp subtracts the maximum) however small `epsilon` is.
    """
    together = scores if extra is None else torch.cat([scores, extra[world.rank :: world.size]])
    log_codes = at_least_float32(together) / epsilon
    for _ in range(n_iterations):
        log_codes = log_codes - world.gather(log_codes.logsumexp(dim=0, keepdim=True)).logsumexp(dim=0)
        log_codes = log_codes - log_codes.logsumexp(dim=1, keepdim=True)
    return log_codes[: len(scores)].exp()
