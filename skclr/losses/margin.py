"""Margin losses: positives move closer, and negatives move apart up to a margin.

Distances are "cosine" (1 - cosine, from 0 to 2) or "euclidean" (between the raw rows). For the notation and the names
in the dense references, see `skclr.losses.pairwise`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from skclr.arguments import check_choice
from skclr.losses.mining import TRIPLETS
from skclr.losses.pairwise import EncodedGroups, Pairs, PairwiseLoss, cosine_rows, mean_over_pairs


@dataclass(frozen=True)
class Contrastive(PairwiseLoss):
    """Margin contrastive: mean over i of the mean over p of ½ D_ip² and the mean over n of ½ max(0, m - D_in)².

    Parameters
    ----------
    margin : m, the distance beyond which a negative costs nothing.
    distance : "cosine" or "euclidean".

    Notes
    -----
    Dense reference::

        euclidean = torch.linalg.vector_norm(x[:, None] - y, dim=2)
        d = 1 - F.cosine_similarity(x[:, None], y, dim=2) if distance == "cosine" else euclidean
        pull = (d.square() / 2 * positive).sum(1) / positive.sum(1).clamp(min=1)
        push = (F.relu(margin - d).square() / 2 * negative).sum(1) / negative.sum(1).clamp(min=1)
        loss = (pull + push)[positive.any(1)].mean()

    References
    ----------
    Hadsell et al. 2006, eq. 4. Differs: the positives of an anchor weigh as much as its negatives, since nearly all
    pairs of a batch are negative; the default is not the paper's "euclidean", whose margin depends on the scale of the
    rows.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import Contrastive
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> Contrastive(margin=1.5)(embeddings, groups)
    tensor(0.1250)
    """

    margin: float = 1.0
    distance: str = "cosine"

    def __post_init__(self) -> None:
        _check(self.margin, self.distance)

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""

        def cost(similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
            distances = _distances(self.distance, similarities, pairs)
            pull = _mean(distances.square(), pairs.positives)
            push = _mean((self.margin - distances).clamp_min(0).square(), pairs.negatives)
            anchored = pairs.positives.amax(1)
            return (pull + push) / 2 * anchored, anchored

        return mean_over_pairs(cost, *_ROWS[self.distance](anchors, candidates), groups)


@dataclass(frozen=True)
class Triplet(PairwiseLoss):
    """Triplet: mean over the active triplets (i, p, n) of max(0, D_ip - D_in + m).

    Parameters
    ----------
    margin : m, how much farther away a negative should be than a positive.
    distance : "cosine" or "euclidean".
    mining : "all" uses every triplet; "semi_hard" uses each (i, p) with the nearest n that is no nearer than p; "hard"
        uses each i with its farthest p and its nearest n.

    Notes
    -----
    A triplet is active if its cost is above 0. The mean over active triplets keeps the gradient from shrinking as more
    triplets are solved, so the loss itself hardly falls; it is 0 if none is active. A collapse is visible: if all rows
    are equal, the loss is m.

    Hard triplets cost less when all rows move together, down to m, which is how hard mining collapses from scratch.
    Therefore "hard" measures distances relative to the mean distance of the anchor to its negatives, which removes this
    gain.

    Dense reference, with triplets (R, p, n)::

        euclidean = torch.linalg.vector_norm(x[:, None] - y, dim=2)
        d = 1 - F.cosine_similarity(x[:, None], y, dim=2) if distance == "cosine" else euclidean
        if mining == "hard":
            scale = (d * negative).sum(1, keepdim=True) / negative.sum(1, keepdim=True).clamp(min=1)
            d = d / scale.where(scale > 0, 1)
            positive = positive & (d == d.where(positive, -torch.inf).amax(1, keepdim=True))
            negative = negative & (d == d.where(negative, torch.inf).amin(1, keepdim=True))
        chosen = positive[:, :, None] & negative[:, None, :]
        if mining == "semi_hard":
            chosen = chosen & (d[:, None, :] >= d[:, :, None])
            chosen = chosen & (d[:, None, :] == d[:, None, :].where(chosen, torch.inf).amin(2, keepdim=True))
        cost = (d[:, :, None] - d[:, None, :] + margin)[chosen].relu()
        loss = cost.sum() / max(1, cost.count_nonzero())

    References
    ----------
    Schroff et al. 2015 (FaceNet), sec. 3.1 and 3.2; Hermans et al. 2017 for "hard" and for the mean over the active.
    Differs: FaceNet's squared Euclidean distance of unit rows is twice "cosine", so its margin of 0.2 is our 0.1;
    "hard" is relative (see Notes).

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import Triplet
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> Triplet(margin=1.2, mining="all")(embeddings, groups)
    tensor(0.2000)
    """

    margin: float = 0.2
    distance: str = "cosine"
    mining: str = "semi_hard"

    def __post_init__(self) -> None:
        _check(self.margin, self.distance)
        check_choice("mining", self.mining, TRIPLETS)

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""

        def cost(similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
            distances = _distances(self.distance, similarities, pairs)
            return TRIPLETS[self.mining](distances, pairs.positives > 0, pairs.negatives > 0, self.margin)

        return mean_over_pairs(cost, *_ROWS[self.distance](anchors, candidates), groups)


def _check(margin: float, distance: str) -> None:
    if not margin >= 0:
        raise ValueError(f"margin is {margin}, but must be 0 or more. Try 0.2 for triplet, 1 for contrastive.")
    check_choice("distance", distance, _ROWS)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask).sum(1) / mask.sum(1).clamp_min(1)


def _distances(distance: str, similarities: Tensor, pairs: Pairs) -> Tensor:
    """Return distances (r, C); 0 where the two are the same row."""
    compared = pairs.positives + pairs.negatives
    return (1 - similarities) * compared if distance == "cosine" else _stable_sqrt(-2 * similarities * compared)


def _stable_sqrt(squares: Tensor) -> Tensor:
    # Squares this small are rounding errors, and the gradient of their roots would be unbounded.
    rounding = 8 * torch.finfo(squares.dtype).eps * squares.detach().amax(1, keepdim=True)
    zero = squares <= rounding
    return squares.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def _euclidean_rows(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows whose products are -½ |a - c|² = a·c - ½ a² - ½ c²."""
    # Relative to a common centre the squares are small, and so is the rounding error of their difference.
    centre = candidates.detach().mean(0)
    a, half_a = _relative_to(centre, anchors)
    c, half_c = (a, half_a) if candidates is anchors else _relative_to(centre, candidates)
    return (
        torch.cat([a, -half_a, -torch.ones_like(half_a)], 1),
        torch.cat([c, torch.ones_like(half_c), half_c], 1),
    )


def _relative_to(centre: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows relative to a centre, and half of their squared norms (n, 1)."""
    rows = rows - centre
    return rows, rows.square().sum(1, keepdim=True) / 2


# For each distance: the function that returns the rows whose dot products `_distances` turns into distances.
_ROWS = {"cosine": cosine_rows, "euclidean": _euclidean_rows}
