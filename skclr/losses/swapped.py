"""Swapped prediction: one view's scores predict another view's code."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from skclr.precision import at_least_float32


def swapped_prediction(scores: Tensor, codes: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the cross-entropy of one view's scores with another view's codes as targets.

    Parameters
    ----------
    scores : (B, K) similarities of one view's samples and the prototypes.
    codes : (B, K) distributions over prototypes, from another view. No gradient flows into them.
    temperature : divides the scores; smaller is sharper.

    Returns
    -------
    Scalar ≥ 0; log K if all scores are equal.

    References
    ----------
    Caron et al. 2020 (SwAV), eq. 2; Caron et al. 2021 (DINO), eq. 3. Differs: none.
    """
    logits = at_least_float32(scores) / temperature
    return cross_entropy(logits, codes.detach().to(logits.dtype))
