"""Pairwise losses: rows of one group attract, rows of different groups repel.

A loss states what one block of anchors costs; `skclr.losses.tiles` makes it exact in memory that grows with the rows.
In the equations i is an anchor, p a positive of it (another row of its group), n a negative (a row of another group),
a any candidate (positive or negative), s a similarity and D a distance.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from skclr.files.plain import Plain
from skclr.losses.tiles import LARGEST_PRODUCT, log_sum_exp_of_others, lowest, mean_cost, over_counts
from skclr.precision import at_least_float32
from skclr.ranks.collectives import gather, rank, share


class Pairs:
    """Which of C candidates are positives and which negatives of r anchors; the same row is neither.

    Parameters
    ----------
    same : (r, C), 1 where both are of one group and else 0; it is written to.
    itself : the candidate that is the first anchor, the next being the second; None where no row is on both sides.

    Attributes
    ----------
    positives, negatives : (r, C), 1 for those and 0 for all others.
    """

    def __init__(self, same: Tensor, itself: int | None) -> None:
        self.positives = same
        self.itself = itself
        if itself is not None:
            same.diagonal(itself).fill_(0)

    @cached_property
    def negatives(self) -> Tensor:
        # Only where a loss asks: this is a pass over memory like those that the loss is made of.
        negatives = 1 - self.positives
        if self.itself is not None:
            negatives.diagonal(self.itself).fill_(0)
        return negatives


@dataclass(frozen=True)
class Numbers:
    """Small numbers in place of ids, equal where these are, and what is counted by them.

    Parameters
    ----------
    anchors, candidates : (R,) and (C,) float32; a candidate's are from 0 to C - 1.
    n_positives : (R,) int64, of each anchor.
    any_positive : scalar bool, of all ranks' anchors.
    itself : the candidate that is the first anchor, the next being the second; None where no row is on both sides.
    """

    anchors: Tensor
    candidates: Tensor
    n_positives: Tensor
    any_positive: Tensor
    itself: int | None


@dataclass(frozen=True)
class PairwiseLoss(Plain, ABC):
    """The mean of what anchors cost beside their positives and negatives.

    A subclass states `cost`, and `rows` where its similarity is not the cosine.
    """

    def __call__(
        self,
        embeddings: Tensor,
        groups: Tensor,
        candidates: Tensor | None = None,
        candidate_groups: Tensor | None = None,
    ) -> Tensor:
        """Give the loss of a batch, or of this rank's rows of it.

        Parameters
        ----------
        embeddings : (R, d) floating; each row is an anchor.
        groups : (R,) int64; rows of one id are positives of each other.
        candidates : (C, d), what every anchor is compared with (a queue, say), the same on all ranks; None compares
            each row of `embeddings` with all other rows, those of other ranks among them.
        candidate_groups : (C,) int64, the candidates' ids.

        Returns
        -------
        Scalar, float32 or wider. Anchors without a positive are left out of the mean; see `count_anchors`.

        Raises
        ------
        ValueError : if the arguments do not fit each other, or no anchor has a positive. On an accelerator, where to
            look would make the step wait, the loss is NaN instead.
        """
        _check(embeddings, groups, candidates, candidate_groups)
        numbers = _number(groups, candidate_groups)
        with torch.autocast(embeddings.device.type, enabled=False):
            anchors = at_least_float32(embeddings)
            others = gather(anchors) if candidates is None else at_least_float32(candidates)
            loss = self.mean(*self.rows(anchors, others), numbers)
        # Over False it is NaN.
        return loss / numbers.any_positive

    def mean(self, anchors: Tensor, candidates: Tensor, numbers: Numbers) -> Tensor:
        """Average what anchors cost, once `rows` has prepared them."""

        def row_cost(similarities: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
            # Comparing floats into floats is several times faster than comparing ids into booleans.
            same = torch.empty_like(similarities, requires_grad=False)
            torch.eq(numbers.anchors[rows, None], numbers.candidates, out=same)
            itself = None if numbers.itself is None else numbers.itself + rows.start
            return self.cost(similarities, Pairs(same, itself))

        return mean_cost(row_cost, anchors, candidates, itself=numbers.itself)

    def rows(self, anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Prepare rows so that the products of anchors and candidates are their similarities: here, cosines."""
        return _each(lambda rows: _rows_of_length(1, rows), anchors, candidates)

    @abstractmethod
    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Give what r anchors cost.

        Parameters
        ----------
        similarities : (r, C), anchors against candidates; hugely negative, but finite, where both are the same row.
        pairs : which of them are positives, and which negatives.

        Returns
        -------
        costs : (r,), differentiable in the similarities.
        counts : (r,), of how many costs each is the sum; the loss is all costs over all counts.
        """


def count_anchors(groups: Tensor, candidate_groups: Tensor | None = None) -> Tensor:
    """Count the anchors that have a positive: those a loss is made of.

    Parameters
    ----------
    groups, candidate_groups : as a `PairwiseLoss` takes them.

    Returns
    -------
    Scalar int64, on the device of `groups`.
    """
    _, n_equal = _positions(groups, groups if candidate_groups is None else candidate_groups)
    return (n_equal > (candidate_groups is None)).sum()


@dataclass(frozen=True)
class TemperatureLoss(PairwiseLoss):
    """A pairwise loss of cosines over a temperature: s = cosine / temperature."""

    temperature: float = 0.1

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}, but must be positive: try 0.1")

    def rows(self, anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        return _each(lambda rows: _rows_of_length(self.temperature**-0.5, rows), anchors, candidates)


@dataclass(frozen=True)
class SoftmaxLoss(TemperatureLoss):
    """A loss of what each anchor's log Σ_a exp s_ia and Σ_p s_ip are; a subclass states `cost_of_sums`.

    Where every row is compared with every other, the first is found for both rows of a pair at once, and the second
    from the sum of a group's rows.
    """

    @abstractmethod
    def cost_of_sums(self, log_sum_exp: Tensor, pulls: Tensor, n_positives: Tensor) -> tuple[Tensor, Tensor]:
        """Give the costs and counts (r,), as `cost` does, of log Σ_a exp s_ia, Σ_p s_ip and the number of p."""

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        pulls = _sum(similarities, pairs.positives)
        return self.cost_of_sums(_LogSumExp.apply(similarities), pulls, pairs.positives.sum(1))

    def mean(self, anchors: Tensor, candidates: Tensor, numbers: Numbers) -> Tensor:
        largest = 1 / self.temperature
        if candidates is not anchors or largest > LARGEST_PRODUCT:
            return super().mean(anchors, candidates, numbers)
        groups = numbers.anchors.long()
        positives = torch.zeros_like(anchors).index_add(0, groups, anchors).index_select(0, groups) - anchors
        pulls = (anchors * positives).sum(1)
        return over_counts(
            *self.cost_of_sums(log_sum_exp_of_others(anchors, at_most=largest), pulls, numbers.n_positives)
        )


@dataclass(frozen=True)
class NTXent(SoftmaxLoss):
    """Normalised temperature-scaled cross-entropy: mean over (i, p) of -log(exp s_ip / Σ_a exp s_ia).

    Parameters
    ----------
    temperature : divides the cosines; between the paper's 0.1 for ImageNet and 0.5 for CIFAR-10.

    References
    ----------
    Chen et al. 2020 (SimCLR), eq. 1. Differs: none for two views of unlabelled samples. With more positives the mean
    runs over all ordered pairs (i, p), and the other positives stay in the denominator.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import NTXent
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> NTXent(temperature=0.5)(embeddings, groups)
    tensor(0.5944)
    """

    temperature: float = 0.2

    def cost_of_sums(self, log_sum_exp: Tensor, pulls: Tensor, n_positives: Tensor) -> tuple[Tensor, Tensor]:
        return n_positives * log_sum_exp - pulls, n_positives


@dataclass(frozen=True)
class SupCon(SoftmaxLoss):
    """Supervised contrastive: mean over i of the mean over p of -log(exp s_ip / Σ_a exp s_ia).

    Parameters
    ----------
    temperature : divides the cosines.

    References
    ----------
    Khosla et al. 2020, eq. 2 (L_out, the sum outside the logarithm). Differs: a mean over anchors for the paper's sum,
    and without the factor temperature / base temperature of the authors' code.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import SupCon
    >>> embeddings, classes = torch.eye(4).repeat(2, 1), torch.tensor([0, 0, 1, 1]).repeat(2)
    >>> SupCon(temperature=0.5)(embeddings, classes)
    tensor(1.9278)
    """

    def cost_of_sums(self, log_sum_exp: Tensor, pulls: Tensor, n_positives: Tensor) -> tuple[Tensor, Tensor]:
        anchored = n_positives.clamp_max(1)
        return anchored * log_sum_exp - pulls / n_positives.clamp_min(1), anchored


@dataclass(frozen=True)
class SoftNearestNeighbors(TemperatureLoss):
    """Soft nearest neighbours: mean over i of -log(Σ_p exp s_ip / Σ_a exp s_ia), the sum inside the logarithm.

    Parameters
    ----------
    temperature : divides the cosines.

    References
    ----------
    Frosst et al. 2019, eq. 1. Differs: cosines for negative squared Euclidean distances, which on unit rows is the
    paper's loss at twice our temperature; the temperature is not learned.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import SoftNearestNeighbors
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> SoftNearestNeighbors(temperature=0.5)(embeddings, groups)
    tensor(0.5944)
    """

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        anchored = pairs.positives.amax(1)
        costs = _LogSumExp.apply(similarities) - _log_sum_exp(similarities, without=pairs.negatives)
        return costs * anchored, anchored


@dataclass(frozen=True)
class InfoNCE(TemperatureLoss):
    """One positive among all negatives: mean over (i, p) of -log(exp s_ip / (exp s_ip + Σ_n exp s_in)).

    Parameters
    ----------
    temperature : divides the cosines; that of MoCo v2.

    References
    ----------
    van den Oord et al. 2018, eq. 4; He et al. 2020 (MoCo), eq. 1. Differs: cosines over a temperature, as in MoCo, for
    the first paper's bilinear scores. An anchor's other positives are left out of the denominator, where `NTXent`
    has them.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import InfoNCE
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> InfoNCE(temperature=0.5)(embeddings, groups)
    tensor(0.5944)
    """

    temperature: float = 0.2

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        return _one_among_negatives(similarities, pairs.positives)


@dataclass(frozen=True)
class NPair(PairwiseLoss):
    """Multi-class N-pair: mean over (i, p) of log(1 + Σ_n exp(s_in - s_ip)), s being x·y / √d of raw rows (d,).

    Parameters
    ----------
    norm_weight : weight of the anchors' mean squared norm, which keeps the products bounded; that of TensorFlow's code.

    References
    ----------
    Sohn 2016, sec. 3.2. Differs: products are divided by √d, as attention's are, without which steps that suit other
    losses are too long for this one; every row of another group is a negative, where the paper takes one row of each
    class: its batches are one view as `embeddings` and the other as `candidates`.

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
            raise ValueError(f"norm_weight is {self.norm_weight}, but must be 0 or more: use 0 to leave norms alone")

    def __call__(
        self,
        embeddings: Tensor,
        groups: Tensor,
        candidates: Tensor | None = None,
        candidate_groups: Tensor | None = None,
    ) -> Tensor:
        loss = super().__call__(embeddings, groups, candidates, candidate_groups)
        return loss + self.norm_weight * at_least_float32(embeddings).square().sum(1).mean()

    def rows(self, anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        return _each(lambda rows: rows * rows.shape[1] ** -0.25, anchors, candidates)

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        return _one_among_negatives(similarities, pairs.positives)


@dataclass(frozen=True)
class DCL(TemperatureLoss):
    """Decoupled contrastive: mean over (i, p) of -s_ip + log Σ_n exp s_in.

    Parameters
    ----------
    temperature : divides the cosines.

    References
    ----------
    Yeh et al. 2022, the loss L_DC. Differs: none. An anchor without a negative is left out: its logarithm is of 0.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import DCL
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> DCL(temperature=0.5)(embeddings, groups)
    tensor(-0.2082)
    """

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        pulled = pairs.positives * pairs.negatives.amax(1, keepdim=True)
        counts = pulled.sum(1)
        against = _log_sum_exp(similarities, without=pairs.positives)
        return counts * against - _sum(similarities, pulled), counts


@dataclass(frozen=True)
class Logistic(TemperatureLoss):
    """Each pair is a question of its own: mean over i of -Σ_p log σ(s_ip + b) - Σ_n log σ(-s_in - b).

    Parameters
    ----------
    temperature : divides the cosines.
    bias : b, holds the many negatives against the few positives.
    mining : "all" asks of every negative; "semi_hard" for each p of the nearest n that is no nearer than p.

    References
    ----------
    Zhai et al. 2023 (SigLIP), algorithm 1; the defaults are its starting values. Differs: temperature and bias are not
    learned. With bias 0 it is the NT-Logistic of Chen et al. 2020, table 2, over all or over semi-hard negatives.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import Logistic
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> Logistic()(embeddings, groups)
    tensor(0.6934)
    """

    bias: float = -10.0
    mining: str = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("mining", self.mining, ("all", "semi_hard"))

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        anchored = pairs.positives.amax(1)
        if self.mining == "all":
            logits = similarities + self.bias
            return -logsigmoid(logits * (2 * pairs.positives - 1)).sum(1) * anchored, anchored
        distances, among, nearest = _semi_hard(-similarities, pairs.positives > 0, pairs.negatives > 0)
        costs = -logsigmoid(self.bias - distances) - logsigmoid(nearest - self.bias)
        return costs.where(among, 0).sum(1), anchored


@dataclass(frozen=True)
class MarginLoss(PairwiseLoss):
    """A pairwise loss of distances: "cosine" is 1 - cosine, from 0 to 2; "euclidean" is that of the raw rows."""

    margin: float = 1.0
    distance: str = "cosine"

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise ValueError(f"margin is {self.margin}, but must be 0 or more: try 0.2 for triplet, 1 for contrastive")
        _check_choice("distance", self.distance, DISTANCES)

    def rows(self, anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        if self.distance == "cosine":
            return super().rows(anchors, candidates)
        return _euclidean_rows(anchors, candidates)

    def distances(self, similarities: Tensor, compared: Tensor) -> Tensor:
        """Give distances (r, C); 0 where the two are not compared."""
        if self.distance == "cosine":
            return (1 - similarities) * compared
        return _root(-2 * similarities * compared)


@dataclass(frozen=True)
class Contrastive(MarginLoss):
    """Margin contrastive: mean over i of the mean over p of ½ D_ip² and the mean over n of ½ max(0, m - D_in)².

    Parameters
    ----------
    margin : m, the distance from which a negative is left alone.
    distance : "cosine" or "euclidean".

    References
    ----------
    Hadsell et al. 2006, eq. 4. Differs: an anchor's positives weigh as much as its negatives, since nearly all pairs of
    a batch are negative; the default is not the paper's "euclidean", whose margin depends on the scale of the rows.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import Contrastive
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> Contrastive(margin=1.5)(embeddings, groups)
    tensor(0.1250)
    """

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        distances = self.distances(similarities, pairs.positives + pairs.negatives)
        pull = _mean(distances.square(), pairs.positives)
        push = _mean((self.margin - distances).clamp_min(0).square(), pairs.negatives)
        anchored = pairs.positives.amax(1)
        return (pull + push) / 2 * anchored, anchored


@dataclass(frozen=True)
class Triplet(MarginLoss):
    """Triplet: mean over the active of (i, p, n) of max(0, D_ip - D_in + m).

    Parameters
    ----------
    margin : m, by how much a negative shall be farther than a positive.
    distance : "cosine" or "euclidean".
    mining : "all" takes every triplet; "semi_hard" each (i, p) with the nearest n that is no nearer than p; "hard" each
        i with its farthest p and its nearest n.

    Notes
    -----
    Active is a triplet that costs something. A mean over these keeps the size of the gradient while more and more are
    solved, so that the loss hardly falls; where none is left it is 0. A collapse shows: rows that are all equal cost m.

    Hard triplets cost less when all rows move together, down to m, which is how hard mining collapses from scratch.
    Therefore "hard" takes distances in units of the anchor's mean distance to its negatives: there is no gain in it.

    References
    ----------
    Schroff et al. 2015 (FaceNet), sec. 3.1 and 3.2; Hermans et al. 2017 for "hard" and for the mean over the active.
    Differs: FaceNet's squared Euclidean distance of unit rows is twice "cosine", so that its margin of 0.2 is our 0.1;
    "hard" is relative, see Notes.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import Triplet
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> Triplet(margin=1.2, mining="all")(embeddings, groups)
    tensor(0.2000)
    """

    margin: float = 0.2
    mining: str = "semi_hard"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("mining", self.mining, MINING)

    def cost(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        distances = self.distances(similarities, pairs.positives + pairs.negatives)
        return MINING[self.mining](distances, pairs.positives > 0, pairs.negatives > 0, self.margin)


def _all_triplets(distances: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    # One sort puts before each D_ip + m the negatives of its active triplets: no triplet is ever made.
    ends, order = torch.where(positives, distances + margin, distances).sort(1)
    positives, negatives = positives.gather(1, order), negatives.gather(1, order)
    n_before = negatives.cumsum(1, dtype=ends.dtype) * positives
    n_after = (positives.sum(1, keepdim=True) - positives.cumsum(1, dtype=ends.dtype)) * negatives
    return ((n_before - n_after) * ends).sum(1), n_before.sum(1)


def _semi_hard_triplets(
    distances: Tensor, positives: Tensor, negatives: Tensor, margin: float
) -> tuple[Tensor, Tensor]:
    farthest_first, among, nearest = _semi_hard(distances, positives, negatives)
    costs = farthest_first - nearest + margin
    active = among & (costs > 0)
    return costs.where(active, 0).sum(1), active.sum(1)


def _hard_triplets(distances: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    both = positives.any(1) & negatives.any(1)
    farthest = distances.where(positives, 0).amax(1)
    nearest = distances.where(negatives, torch.inf).amin(1).where(both, 0)
    costs = (farthest - nearest) / _mean(distances, negatives).clamp_min(1e-6) + margin
    active = both & (costs > 0)
    return costs.where(active, 0), active


DISTANCES = ("cosine", "euclidean")
MINING = {"all": _all_triplets, "semi_hard": _semi_hard_triplets, "hard": _hard_triplets}


def _semi_hard(distances: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort distances, and give with each whether it is a positive's, and its nearest negative's that is no nearer."""
    farthest_first, order = distances.sort(dim=1, descending=True, stable=True)
    nearest_so_far = farthest_first.where(negatives.gather(1, order), torch.inf).cummin(1).values
    return farthest_first, positives.gather(1, order), nearest_so_far


def _one_among_negatives(similarities: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    against = _log_sum_exp(similarities, without=positives)
    return -_sum(logsigmoid(similarities - against[:, None]), positives), positives.sum(1)


def _sum(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask).sum(1)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return _sum(x, mask) / mask.sum(1).clamp_min(1)


def _log_sum_exp(x: Tensor, *, without: Tensor) -> Tensor:
    # Hugely negative, not -inf: the gradient of a row that is left out in full would be NaN.
    total: Tensor = _LogSumExp.apply(torch.add(x, without, alpha=lowest(x.dtype)))
    return total


class _LogSumExp(torch.autograd.Function):
    """torch.logsumexp by the softmax, whose exponentials take no longer where they are of hugely negative numbers."""

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


def _root(squares: Tensor) -> Tensor:
    # Squares as small as this are rounding, and the gradient of their roots would know no bound.
    rounding = 8 * torch.finfo(squares.dtype).eps * squares.detach().amax(1, keepdim=True)
    zero = squares <= rounding
    return squares.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def _rows_of_length(length: float, rows: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # A row of zeros has no direction: it stays, and takes no gradient.
    return rows * (length / norms.masked_fill(norms == 0, torch.inf))


def _euclidean_rows(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Give rows whose products are -½ |a - c|² = a·c - ½ a² - ½ c²."""
    # About a common centre the squares are small, and so is what is lost in their difference.
    centre = candidates.detach().mean(0)
    a, c = _each(lambda rows: rows - centre, anchors, candidates)
    half_a, half_c = _each(lambda rows: rows.square().sum(1, keepdim=True) / 2, a, c)
    return (
        torch.cat([a, -half_a, -torch.ones_like(half_a)], 1),
        torch.cat([c, torch.ones_like(half_c), half_c], 1),
    )


def _each(prepare: Callable[[Tensor], Tensor], anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    prepared = prepare(anchors)
    return prepared, prepared if candidates is anchors else prepare(candidates)


def _check_choice(argument: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f"{argument} is {value!r}, but must be one of {list(choices)}")


def _number(groups: Tensor, candidate_groups: Tensor | None) -> Numbers:
    everyone = gather(groups)
    own = candidate_groups is None
    others = everyone if candidate_groups is None else candidate_groups
    first, n_equal = _positions(everyone, others)
    n_positives = n_equal - int(own)
    any_positive = (n_positives > 0).any()
    # On an accelerator a look at the value would make the step wait.
    if groups.device.type == "cpu" and not any_positive:
        _raise_no_positive(groups, candidate_groups)
    numbers = first.where(n_equal > 0, -1).float()
    return Numbers(
        anchors=share(numbers),
        candidates=numbers if own else _positions(others, others)[0].float(),
        n_positives=share(n_positives),
        any_positive=any_positive,
        itself=rank() * len(groups) if own else None,
    )


def _positions(groups: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Give where each id stands among the sorted ids of others, and how often."""
    ordered, groups = others.sort().values, groups.contiguous()
    first = torch.searchsorted(ordered, groups)
    return first, torch.searchsorted(ordered, groups, right=True) - first


def _raise_no_positive(groups: Tensor, candidate_groups: Tensor | None) -> NoReturn:
    if candidate_groups is None:
        raise ValueError(
            f"groups has {len(groups)} ids, of which no two are equal, so that no row has a positive: repeat the ids "
            "for each view, or give the rows of a class one id"
        )
    raise ValueError(
        f"groups ({len(groups)} ids) and candidate_groups ({len(candidate_groups)} ids) have none in common, so that "
        "no row has a positive: give a candidate of the same group"
    )


def _check(embeddings: Tensor, groups: Tensor, candidates: Tensor | None, candidate_groups: Tensor | None) -> None:
    if embeddings.dim() != 2 or groups.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings has shape {tuple(embeddings.shape)} and groups {tuple(groups.shape)}: "
            "give embeddings (R, d) and an id for each of their rows"
        )
    if (candidates is None) != (candidate_groups is None):
        missing = "candidates" if candidates is None else "candidate_groups"
        raise ValueError(f"{missing} is None: give candidates and candidate_groups, or neither")
    if candidates is not None and candidate_groups is not None:
        width = embeddings.shape[1]
        if candidates.shape != (len(candidate_groups), width):
            raise ValueError(
                f"candidates has shape {tuple(candidates.shape)} and candidate_groups {tuple(candidate_groups.shape)}: "
                f"give candidates (C, {width}) and an id for each of their rows"
            )
