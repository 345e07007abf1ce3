"""Softmax losses: the positives of an anchor compete with its other candidates.

For the notation and the names in the dense references, see `skclr.losses.pairwise`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from skclr.arguments import check_temperature
from skclr.losses.pairwise import EncodedGroups, Pairs, PairwiseLoss, cosine_rows, mean_over_pairs
from skclr.losses.tiles import LARGEST_PRODUCT, log_sum_exp_of_others, lowest, over_counts


@dataclass(frozen=True)
class TemperatureLoss(PairwiseLoss):
    """Base class of losses whose similarities are s = cosine / temperature."""

    temperature: float = 0.1

    def __post_init__(self) -> None:
        check_temperature(self.temperature)


@dataclass(frozen=True)
class NTXent(TemperatureLoss):
    """Normalised temperature-scaled cross-entropy: mean over (i, p) of −log(exp s_ip / Σ_a exp s_ia).

    Parameters
    ----------
    temperature : divides the cosines; the default lies between the paper's 0.1 for ImageNet and 0.5 for CIFAR-10.

    Notes
    -----
    Dense reference::

        s = F.cosine_similarity(x[:, None], y, dim=2) / temperature
        against = s.masked_fill(~(positive | negative), -torch.inf).logsumexp(1, keepdim=True)
        loss = (against - s)[positive].mean()

    References
    ----------
    Chen et al. 2020 (SimCLR), eq. 1. Differs: none for two views of unlabelled samples. With more positives, the mean
    runs over all ordered pairs (i, p), and an anchor's other positives stay in the denominator.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import NTXent
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> NTXent(temperature=0.5)(embeddings, groups)
    tensor(0.5944)
    """

    temperature: float = 0.2

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""

        def cost(log_sum_exp: Tensor, pulls: Tensor, n_positives: Tensor) -> tuple[Tensor, Tensor]:
            return n_positives * log_sum_exp - pulls, n_positives

        return _mean_of_sums(cost, anchors, candidates, groups, self.temperature)


@dataclass(frozen=True)
class SupCon(TemperatureLoss):
    """Supervised contrastive: mean over i of the mean over p of −log(exp s_ip / Σ_a exp s_ia).

    Parameters
    ----------
    temperature : divides the cosines.

    Notes
    -----
    Dense reference::

        s = F.cosine_similarity(x[:, None], y, dim=2) / temperature
        against = s.masked_fill(~(positive | negative), -torch.inf).logsumexp(1, keepdim=True)
        cost = ((against - s) * positive).sum(1) / positive.sum(1).clamp(min=1)
        loss = cost[positive.any(1)].mean()

    References
    ----------
    Khosla et al. 2020, eq. 2 (L_out, the sum outside the logarithm). Differs: the mean over anchors instead of the
    paper's sum, and no factor temperature / base temperature as in the authors' code.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import SupCon
    >>> embeddings, classes = torch.eye(4).repeat(2, 1), torch.tensor([0, 0, 1, 1]).repeat(2)
    >>> SupCon(temperature=0.5)(embeddings, classes)
    tensor(1.9278)
    """

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""

        def cost(log_sum_exp: Tensor, pulls: Tensor, n_positives: Tensor) -> tuple[Tensor, Tensor]:
            anchored = n_positives.clamp_max(1)
            return anchored * log_sum_exp - pulls / n_positives.clamp_min(1), anchored

        return _mean_of_sums(cost, anchors, candidates, groups, self.temperature)


@dataclass(frozen=True)
class SoftNearestNeighbors(TemperatureLoss):
    """Soft nearest neighbours: mean over i of −log(Σ_p exp s_ip / Σ_a exp s_ia), with the sum inside the logarithm.

    Parameters
    ----------
    temperature : divides the cosines.

    Notes
    -----
    Dense reference::

        s = F.cosine_similarity(x[:, None], y, dim=2) / temperature
        against = s.masked_fill(~(positive | negative), -torch.inf).logsumexp(1)
        pull = s.masked_fill(~positive, -torch.inf).logsumexp(1)
        loss = (against - pull)[positive.any(1)].mean()

    References
    ----------
    Frosst et al. 2019, eq. 1. Differs: cosines instead of negative squared Euclidean distances, which on unit rows
    equals the paper's loss at twice our temperature; the temperature is not learned.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import SoftNearestNeighbors
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> SoftNearestNeighbors(temperature=0.5)(embeddings, groups)
    tensor(0.5944)
    """

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""

        def cost(similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
            anchored = pairs.positives.amax(1)
            costs = _LogSumExp.apply(similarities) - _log_sum_exp(similarities, without=pairs.negatives)
            return costs * anchored, anchored

        return mean_over_pairs(cost, *cosine_rows(anchors, candidates, self.temperature), groups)


@dataclass(frozen=True)
class InfoNCE(TemperatureLoss):
    """One positive among all negatives: mean over (i, p) of −log(exp s_ip / (exp s_ip + Σ_n exp s_in)).

    Parameters
    ----------
    temperature : divides the cosines; the default is that of MoCo v2.

    Notes
    -----
    Dense reference::

        s = F.cosine_similarity(x[:, None], y, dim=2) / temperature
        against = s.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)
        loss = F.softplus(against - s)[positive].mean()

    References
    ----------
    van den Oord et al. 2018, eq. 4; He et al. 2020 (MoCo), eq. 1. Differs: cosines over a temperature, as in MoCo,
    instead of the first paper's bilinear scores. An anchor's other positives are left out of the denominator, unlike in
    `NTXent`.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import InfoNCE
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> InfoNCE(temperature=0.5)(embeddings, groups)
    tensor(0.5944)
    """

    temperature: float = 0.2

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""
        return mean_over_pairs(_info_nce_cost, *cosine_rows(anchors, candidates, self.temperature), groups)


@dataclass(frozen=True)
class NPair(PairwiseLoss):
    """Multi-class N-pair: mean over (i, p) of log(1 + Σ_n exp(s_in - s_ip)), where s = x·y / √d of raw rows (d,).

    Parameters
    ----------
    norm_weight : weight of the anchors' mean squared norm, which bounds the products; the default is TensorFlow's.

    Notes
    -----
    Dense reference::

        s = x @ y.T / x.shape[1] ** 0.5
        against = s.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)
        loss = F.softplus(against - s)[positive].mean() + norm_weight * x.square().sum(1).mean()

    References
    ----------
    Sohn 2016, sec. 3.2. Differs: products are divided by √d, as in attention; otherwise the learning rates that suit
    other losses are too high for this one. Every row of another group is a negative, whereas the paper takes one row of
    each class; to get its batches, pass one view as `embeddings` and the other as `candidates`.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import NPair
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> NPair()(embeddings, groups)
    tensor(1.5355)
    """

    norm_weight: float = 1e-3

    def __post_init__(self) -> None:
        if not self.norm_weight >= 0:
            raise ValueError(f"norm_weight is {self.norm_weight}, but must be 0 or more. Use 0 to leave norms alone.")

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""
        scale = anchors.shape[1] ** -0.25
        scaled = scale * anchors
        loss = mean_over_pairs(_info_nce_cost, scaled, scaled if candidates is anchors else scale * candidates, groups)
        return loss + self.norm_weight * anchors.square().sum(1).mean()


@dataclass(frozen=True)
class DCL(TemperatureLoss):
    """Decoupled contrastive: mean over (i, p) of −s_ip + log Σ_n exp s_in.

    Parameters
    ----------
    temperature : divides the cosines.

    Notes
    -----
    Dense reference::

        s = F.cosine_similarity(x[:, None], y, dim=2) / temperature
        against = s.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)
        cost = (against - s)[positive & negative.any(1, keepdim=True)]
        loss = cost.sum() / max(1, len(cost))

    References
    ----------
    Yeh et al. 2022, the loss L_DC. Differs: none. An anchor without a negative is left out, since its cost would
    contain log 0.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import DCL
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> DCL(temperature=0.5)(embeddings, groups)
    tensor(-0.2082)
    """

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""

        def cost(similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
            pulled = pairs.positives * pairs.negatives.amax(1, keepdim=True)
            counts = pulled.sum(1)
            against = _log_sum_exp(similarities, without=pairs.positives)
            return counts * against - (similarities * pulled).sum(1), counts

        return mean_over_pairs(cost, *cosine_rows(anchors, candidates, self.temperature), groups)


# Takes log Σ_a exp s_ia, Σ_p s_ip and the number of p of some anchors (r,), and returns their costs and counts (r,).
CostOfSums = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def _mean_of_sums(
    cost: CostOfSums, anchors: Tensor, candidates: Tensor, groups: EncodedGroups, temperature: float
) -> Tensor:
    """Return the mean of costs that depend on an anchor's candidates only through two sums.

    If every row is compared with every other, the exponential of a pair is computed once for both of its rows, and the
    sum over the positives is derived from the sum of the rows of a group.
    """
    anchors, candidates = cosine_rows(anchors, candidates, temperature)
    largest = 1 / temperature
    if candidates is not anchors or largest > LARGEST_PRODUCT:

        def pair_cost(similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
            pulls = (similarities * pairs.positives).sum(1)
            return cost(_LogSumExp.apply(similarities), pulls, pairs.positives.sum(1))

        return mean_over_pairs(pair_cost, anchors, candidates, groups)
    codes = groups.anchors.long()
    positives = torch.zeros_like(anchors).index_add(0, codes, anchors).index_select(0, codes) - anchors
    pulls = (anchors * positives).sum(1)
    return over_counts(*cost(log_sum_exp_of_others(anchors, at_most=largest), pulls, groups.n_positives))


def _info_nce_cost(similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    against = _log_sum_exp(similarities, without=pairs.positives)
    costs = -logsigmoid(similarities - against[:, None]) * pairs.positives
    return costs.sum(1), pairs.positives.sum(1)


def _log_sum_exp(x: Tensor, *, without: Tensor) -> Tensor:
    # Hugely negative instead of -inf, since the gradient of a row that is left out entirely would be NaN.
    total: Tensor = _LogSumExp.apply(torch.add(x, without, alpha=lowest(x.dtype)))
    return total


class _LogSumExp(torch.autograd.Function):
    """Compute torch.logsumexp from the softmax, whose exponentials are not slower for hugely negative numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        shares = x.softmax(1)
        ctx.save_for_backward(shares)
        return x.amax(1) - shares.amax(1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (shares,) = ctx.saved_tensors
        return shares * grad[:, None]
