"""Mining: the selection of positives and negatives that a loss compares."""

import torch
from torch import Tensor


def semi_hard(distances: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each positive, the distance of the nearest negative that is no nearer.

    Parameters
    ----------
    distances : (r, C), between anchors and candidates.
    positives, negatives : (r, C) bool.

    Returns
    -------
    farthest_first : (r, C), the distances in descending order.
    among : (r, C) bool, which of these belong to positives.
    nearest : (r, C), the distance of the nearest negative that is no nearer; infinite if there is none.

    References
    ----------
    Schroff et al. 2015 (FaceNet), sec. 3.2. Differs: none.
    """
    farthest_first, order = distances.sort(dim=1, descending=True, stable=True)
    nearest_so_far = farthest_first.where(negatives.gather(1, order), torch.inf).cummin(1).values
    return farthest_first, positives.gather(1, order), nearest_so_far


def all_triplets(distances: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return the summed cost and the number (r,) of the active ones among all triplets of each anchor."""
    # In sorted order, the negatives before D_ip + m are those of its active triplets, so no triplet is ever built.
    ends, order = torch.where(positives, distances + margin, distances).sort(1)
    positives, negatives = positives.gather(1, order), negatives.gather(1, order)
    n_before = negatives.cumsum(1, dtype=ends.dtype) * positives
    n_after = (positives.sum(1, keepdim=True) - positives.cumsum(1, dtype=ends.dtype)) * negatives
    return ((n_before - n_after) * ends).sum(1), n_before.sum(1)


def semi_hard_triplets(distances: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return the same as `all_triplets`, for each positive with the nearest negative that is no nearer."""
    farthest_first, among, nearest = semi_hard(distances, positives, negatives)
    costs = farthest_first - nearest + margin
    active = among & (costs > 0)
    return costs.where(active, 0).sum(1), active.sum(1)


def hard_triplets(distances: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return the same, for the farthest positive and nearest negative, relative to the mean negative distance."""
    both = positives.any(1) & negatives.any(1)
    farthest = distances.where(positives, 0).amax(1)
    nearest = distances.where(negatives, torch.inf).amin(1).where(both, 0)
    scale = (distances * negatives).sum(1) / negatives.sum(1).clamp_min(1)
    costs = (farthest - nearest) / scale.clamp_min(1e-6) + margin
    active = both & (costs > 0)
    return costs.where(active, 0), active


TRIPLETS = {"all": all_triplets, "semi_hard": semi_hard_triplets, "hard": hard_triplets}
