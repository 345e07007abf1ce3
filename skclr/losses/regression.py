"""Regression of one view's projection on another's, without negatives."""

from torch import Tensor
from torch.nn.functional import cosine_similarity

from skclr.precision import at_least_float32


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean negative cosine similarity of predictions and targets.

    Parameters
    ----------
    predictions, targets : (B, d); row i of each is sample i. No gradient flows into the targets.

    Returns
    -------
    Scalar in [-1, 1].

    References
    ----------
    Chen and He 2021 (SimSiam), eq. 1 and 3. Differs: none.
    """
    targets = at_least_float32(targets.detach())
    return -cosine_similarity(at_least_float32(predictions), targets, dim=1).mean()


def normalized_mse(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared distance of predictions and targets on the unit sphere.

    Parameters
    ----------
    predictions, targets : (B, d); row i of each is sample i. No gradient flows into the targets.

    Returns
    -------
    Scalar in [0, 4].

    References
    ----------
    Grill et al. 2020 (BYOL), eq. 2. Differs: none.
    """
    # |p - t|² = 2 - 2 p·t for unit vectors.
    return 2 + 2 * negative_cosine(predictions, targets)
