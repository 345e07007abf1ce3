"""The protocol of pairwise losses: rows of the same group attract, rows of different groups repel.

In the equations, i is an anchor, p one of its positives (another row of its group), n a negative (a row of another
group), a any candidate (positive or negative), s a similarity and D a distance.

Each loss is written twice: as a dense reference of a few lines in the notes of its docstring, and in `mean`, whose
memory grows linearly with the rows. The tests compare the two. The dense references use the names `x` (R, d) for the
anchors, `y` (C, d) for the candidates, `positive` and `negative` (R, C) for masks, both False where anchor and
candidate are the same row, and the parameters of the loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn, Self, final

import torch
from torch import Tensor

from skclr.files.plain import Plain
from skclr.losses.tiles import mean_cost
from skclr.precision import at_least_float32
from skclr.ranks.collectives import world


@dataclass(frozen=True)
class PairwiseLoss(Plain, ABC):
    """Base class of losses that compare anchors with positives and negatives; a subclass implements `mean`."""

    @final
    def __call__(
        self,
        embeddings: Tensor,
        groups: Tensor,
        candidates: Tensor | None = None,
        candidate_groups: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch, or of this rank's rows of it.

        Parameters
        ----------
        embeddings : (R, d) floating; each row is an anchor.
        groups : (R,) int64; rows with the same id are positives of each other.
        candidates : (C, d) rows that every anchor is compared with, such as a queue; the same on all ranks. None
            compares each row of `embeddings` with all other rows, including those of other ranks.
        candidate_groups : (C,) int64 ids of the candidates.

        Returns
        -------
        Scalar, float32 or wider. Anchors without a positive are left out of the mean; see `count_anchors`.

        Raises
        ------
        ValueError : if the shapes do not match, or no anchor has a positive. On an accelerator, where that check would
            stall the step, the loss is NaN instead.
        """
        _check(embeddings, groups, candidates, candidate_groups)
        encoded = EncodedGroups.of(groups, candidate_groups)
        with torch.autocast(embeddings.device.type, enabled=False):
            anchors = at_least_float32(embeddings)
            others = world.gather(anchors) if candidates is None else at_least_float32(candidates)
            loss = self.mean(anchors, others, encoded)
        # Dividing by False gives NaN.
        return loss / encoded.any_positive

    @abstractmethod
    def mean(self, anchors: Tensor, candidates: Tensor, groups: "EncodedGroups") -> Tensor:
        """Return the mean cost of the anchors.

        Parameters
        ----------
        anchors, candidates : (R, d) and (C, d), float32 or wider; the same tensor if the anchors are the candidates.
        groups : the group ids, from which positives and negatives follow; see `mean_over_pairs`.

        Returns
        -------
        Scalar.
        """


@dataclass(frozen=True)
class EncodedGroups:
    """Group ids re-encoded as small integers, with the number of positives of each anchor.

    Parameters
    ----------
    anchors, candidates : (R,) and (C,) float32 codes, equal where the ids are equal; those of candidates are from 0 to
        C - 1.
    n_positives : (R,) int64, per anchor.
    any_positive : scalar bool, whether any anchor on any rank has a positive.
    self_offset : anchor i is candidate i + self_offset; None if the two sets are disjoint.
    """

    anchors: Tensor
    candidates: Tensor
    n_positives: Tensor
    any_positive: Tensor
    self_offset: int | None

    @classmethod
    def of(cls, groups: Tensor, candidate_groups: Tensor | None) -> Self:
        """Encode the group ids of this rank's anchors and of the candidates (None: the anchors of all ranks).

        Raises
        ------
        ValueError : if no anchor has a positive, on a CPU.
        """
        everyone = world.gather(groups)
        own = candidate_groups is None
        others = everyone if candidate_groups is None else candidate_groups
        first, n_equal = _positions(everyone, others)
        n_positives = n_equal - int(own)
        any_positive = (n_positives > 0).any()
        # On an accelerator, reading this value would stall the step.
        if groups.device.type == "cpu" and not any_positive:
            _raise_no_positive(groups, candidate_groups)
        codes = first.where(n_equal > 0, -1).float()
        return cls(
            anchors=world.share(codes),
            candidates=codes if own else _positions(others, others)[0].float(),
            n_positives=world.share(n_positives),
            any_positive=any_positive,
            self_offset=world.rank * len(groups) if own else None,
        )

    def pairs(self, similarities: Tensor, rows: slice) -> "Pairs":
        """Return the positives and negatives of the anchors in `rows`, in the dtype of `similarities` (r, C)."""
        # Comparing floats into floats is several times faster than comparing ids into booleans.
        same = torch.empty_like(similarities, requires_grad=False)
        torch.eq(self.anchors[rows, None], self.candidates, out=same)
        return Pairs(same, None if self.self_offset is None else self.self_offset + rows.start)


class Pairs:
    """Masks of the positives and negatives among C candidates of r anchors; an anchor itself is neither.

    Parameters
    ----------
    same : (r, C), 1 where anchor and candidate share a group, else 0; overwritten.
    self_offset : anchor i is candidate i + self_offset; None if the two sets are disjoint.

    Attributes
    ----------
    positives, negatives : (r, C), 1 for positives or negatives respectively, else 0.
    """

    def __init__(self, same: Tensor, self_offset: int | None) -> None:
        self.positives = same
        self.self_offset = self_offset
        if self_offset is not None:
            same.diagonal(self_offset).fill_(0)

    @cached_property
    def negatives(self) -> Tensor:
        # Computed on demand, since it is another pass over as much memory as the loss itself reads.
        negatives = 1 - self.positives
        if self.self_offset is not None:
            negatives.diagonal(self.self_offset).fill_(0)
        return negatives


# A cost takes the similarities (r, C) of some anchors and all candidates (hugely negative but finite where the two are
# the same row) and their pairs. It returns, per anchor (r,), the cost, differentiable, and the number of terms summed
# in it.
Cost = Callable[[Tensor, Pairs], tuple[Tensor, Tensor]]


def mean_over_pairs(cost: Cost, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
    """Return the sum of all costs over the sum of all counts.

    Parameters
    ----------
    cost : returns the costs and counts of some anchors; see `Cost`.
    anchors, candidates : (R, d) and (C, d), whose dot products are the similarities.
    groups : group ids of the anchors and candidates.

    Returns
    -------
    Scalar.
    """

    def row_cost(similarities: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
        return cost(similarities, groups.pairs(similarities, rows))

    return mean_cost(row_cost, anchors, candidates, self_offset=groups.self_offset)


def cosine_rows(anchors: Tensor, candidates: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return rows whose dot products are cosine / temperature."""
    length = temperature**-0.5
    scaled = _rows_of_length(length, anchors)
    return scaled, scaled if candidates is anchors else _rows_of_length(length, candidates)


def _rows_of_length(length: float, rows: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # A row of zeros has no direction: it stays zero and receives no gradient.
    return rows * (length / norms.masked_fill(norms == 0, torch.inf))


def count_anchors(groups: Tensor, candidate_groups: Tensor | None = None) -> Tensor:
    """Count the anchors that have a positive, over which a loss is averaged.

    Parameters
    ----------
    groups, candidate_groups : as in `PairwiseLoss`.

    Returns
    -------
    Scalar int64, on the device of `groups`.
    """
    _, n_equal = _positions(groups, groups if candidate_groups is None else candidate_groups)
    return (n_equal > (candidate_groups is None)).sum()


def _positions(groups: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return the position of each id in the sorted ids of `others`, and how often it occurs there."""
    ordered, groups = others.sort().values, groups.contiguous()
    first = torch.searchsorted(ordered, groups)
    return first, torch.searchsorted(ordered, groups, right=True) - first


def _raise_no_positive(groups: Tensor, candidate_groups: Tensor | None) -> NoReturn:
    if candidate_groups is None:
        raise ValueError(
            f"groups has {len(groups)} different ids, so no row has a positive. "
            "Repeat the ids for each view, or use one id for all rows of a class."
        )
    raise ValueError(
        f"groups ({len(groups)} ids) and candidate_groups ({len(candidate_groups)} ids) have no id in common, so no "
        "row has a positive. Pass a candidate of the same group."
    )


def _check(embeddings: Tensor, groups: Tensor, candidates: Tensor | None, candidate_groups: Tensor | None) -> None:
    if embeddings.dim() != 2 or groups.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings has shape {tuple(embeddings.shape)} and groups {tuple(groups.shape)}. "
            "Pass embeddings (R, d) and one id per row."
        )
    if (candidates is None) != (candidate_groups is None):
        missing = "candidates" if candidates is None else "candidate_groups"
        raise ValueError(f"{missing} is None. Pass both candidates and candidate_groups, or neither.")
    if candidates is not None and candidate_groups is not None:
        width = embeddings.shape[1]
        if candidates.shape != (len(candidate_groups), width):
            raise ValueError(
                f"candidates has shape {tuple(candidates.shape)} and candidate_groups {tuple(candidate_groups.shape)}. "
                f"Pass candidates (C, {width}) and one id per row."
            )
