"""Tiling: costs over all pairs of rows, in memory linear in the number of rows instead of quadratic."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skclr.ranks.collectives import world

# A row cost takes the products (r, C) of some anchors with all candidates, and the row numbers of these anchors. It
# returns, per anchor (r,), the cost and the number of terms summed in it.
RowCost = Callable[[Tensor, slice], tuple[Tensor, Tensor]]


def mean_cost(row_cost: RowCost, anchors: Tensor, candidates: Tensor, *, self_offset: int | None) -> Tensor:
    """Return the mean cost of all anchors, given their dot products with all candidates.

    Parameters
    ----------
    row_cost : returns the costs and the counts of some anchors; differentiable with respect to the products.
    anchors, candidates : (R, d) and (C, d) of the same floating dtype; may be the same tensor.
    self_offset : anchor i is candidate i + self_offset, and their product is replaced by `lowest`; None if the two sets
        are disjoint.

    Returns
    -------
    Scalar, the sum of the costs over the sum of the counts; 0 if all counts are 0. Its average over the ranks is the
    mean over the anchors of all ranks.

    Notes
    -----
    Rows that fit into one tile are handled as one dense product under ordinary autograd. More rows are processed tile
    by tile, and the gradient of a tile is computed right after its costs, so that the tile can be freed. Values and
    gradients are the same, but tiles can be differentiated only once.
    """
    n_rows = rows_per_tile(candidates)
    if len(anchors) > n_rows:
        mean: Tensor = _TiledMean.apply(row_cost, anchors, candidates, self_offset, n_rows)
        return mean
    rows = slice(0, len(anchors))
    return over_counts(*row_cost(_tile(anchors, candidates, rows, self_offset), rows))


def over_counts(costs: Tensor, counts: Tensor) -> Tensor:
    """Return the sum of costs (R,) over the sum of their counts (R,); 0 if all counts are 0."""
    return costs.sum() / _mean_count(counts.sum().to(costs.dtype))


def log_sum_exp_of_others(rows: Tensor, *, at_most: float, kept_bytes: int = 2**25) -> Tensor:
    """Return log Σ_a exp(x_i · x_a) for every row x_i, summed over all other rows x_a.

    Parameters
    ----------
    rows : (R, d) floating.
    at_most : bound on the absolute value of every product, `LARGEST_PRODUCT` or less.
    kept_bytes : bytes that forward may keep for backward instead of recomputing them.

    Returns
    -------
    (R,), differentiable once.

    Notes
    -----
    Each product is computed once for both of its rows, forward and backward. On a CPU this takes about half the time of
    `mean_cost`, in which an anchor needs all of its products at once. The largest product of a row is not known before
    the exponential, hence the bound.
    """
    sums: Tensor = _LogSumExpOfOthers.apply(rows, at_most, kept_bytes)
    return sums


# exp(-2 · 40) is far from the smallest float32.
LARGEST_PRODUCT = 40.0


def cache_bytes() -> int:
    """Return the size of a core's second-level cache in bytes as reported by torch, at least 2 MiB."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return max(2**21, known.get("l2_cache_size", 0))


def rows_per_tile(candidates: Tensor, *, cpu_bytes: int = cache_bytes()) -> int:
    """Return the number of anchors in a tile, which takes `cpu_bytes` on a CPU.

    Notes
    -----
    On a CPU a tile fills the second-level cache of a core: from 1,024 to 8,192 rows, smaller tiles took up to 20 %
    longer, larger ones 10 %, and tiles eight times as large up to twice as long. An accelerator needs larger tiles to
    be busy. With fewer than 32 rows, the products would be limited by memory bandwidth.
    """
    n_bytes = cpu_bytes if candidates.device.type == "cpu" else 2**25
    return max(32, n_bytes // candidates.element_size() // max(1, len(candidates)))


class _TiledMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, row_cost: RowCost, anchors: Tensor, candidates: Tensor, self_offset: int | None, n_rows: int
    ) -> Tensor:
        _, anchors_need, candidates_need, *_ = ctx.needs_input_grad
        # A tensor in both roles accumulates both gradients.
        shared = candidates is anchors
        anchors_grad = torch.zeros_like(anchors) if anchors_need else None
        candidates_grad = torch.zeros_like(candidates) if candidates_need and not shared else None
        into = (anchors_grad, anchors_grad if shared else candidates_grad)
        total, count = anchors.new_zeros(2).unbind()
        for start in range(0, len(anchors), n_rows):
            rows = slice(start, min(start + n_rows, len(anchors)))
            cost, n_costs = _process_tile(row_cost, anchors, candidates, self_offset, rows, *into)
            total += cost
            count += n_costs
        count = _mean_count(count)
        ctx.save_for_backward(anchors_grad, candidates_grad, count)
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *grads, count = ctx.saved_tensors
        anchors_grad, candidates_grad = (None if g is None else g * (grad / count) for g in grads)
        return None, anchors_grad, candidates_grad, None, None


class _LogSumExpOfOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, at_most: float, kept_bytes: int) -> Tensor:
        sums = rows.new_zeros(len(rows))
        tiles: Iterable[_ExpTile] = _exp_tiles(rows, at_most)
        few = len(rows) ** 2 * rows.element_size() <= kept_bytes
        if few:
            tiles = list(tiles)
        for here, later, powers in tiles:
            sums[here] += powers.sum(1)
            sums[later] += powers[:, here.stop - here.start :].sum(0)
        ctx.save_for_backward(rows, sums)
        ctx.at_most, ctx.tiles = at_most, tiles if few else None
        return sums.log() + at_most

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, sums = ctx.saved_tensors
        shares = grad / sums
        rows_grad = torch.zeros_like(rows)
        for here, later, powers in ctx.tiles or _exp_tiles(rows, ctx.at_most):
            grads = (shares[here, None] + shares[here.start :]).mul_(powers)
            rows_grad[here].addmm_(grads, rows[here.start :])
            rows_grad[later].addmm_(grads[:, here.stop - here.start :].T, rows[here])
        return rows_grad, None, None


_ExpTile = tuple[slice, slice, Tensor]


def _exp_tiles(rows: Tensor, at_most: float) -> Iterator[_ExpTile]:
    """Yield tiles: a slice of rows, the slice of all later rows, and exp(products - at_most) of the first with both."""
    # These tiles are half as wide as others on average; with a single tile nothing would be saved.
    n_rows = min(2 * rows_per_tile(rows), (len(rows) + 1) // 2)
    for start in range(0, len(rows), n_rows):
        here, later = slice(start, start + n_rows), slice(start + n_rows, None)
        powers = (rows[here] @ rows[start:].T).sub_(at_most).exp_()
        powers.diagonal().fill_(0)
        yield here, later, powers


def _process_tile(
    row_cost: RowCost,
    anchors: Tensor,
    candidates: Tensor,
    self_offset: int | None,
    rows: slice,
    anchors_grad: Tensor | None,
    candidates_grad: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the summed cost and count of a tile, and add its gradients to those that are not None."""
    wanted = anchors_grad is not None or candidates_grad is not None
    tile = _tile(anchors, candidates, rows, self_offset).requires_grad_(wanted)
    with torch.enable_grad():
        costs, counts = row_cost(tile, rows)
        cost = costs.sum()
    if wanted:
        (grad,) = torch.autograd.grad(cost, tile)
        if self_offset is not None:
            grad.diagonal(self_offset + rows.start).fill_(0)
        if anchors_grad is not None:
            anchors_grad[rows].addmm_(grad, candidates)
        if candidates_grad is not None:
            candidates_grad.addmm_(grad.T, anchors[rows])
    return cost.detach(), counts.sum()


def _tile(anchors: Tensor, candidates: Tensor, rows: slice, self_offset: int | None) -> Tensor:
    tile = anchors[rows] @ candidates.T
    if self_offset is not None:
        tile.diagonal(self_offset + rows.start).fill_(lowest(tile.dtype))
    return tile


def _mean_count(count: Tensor) -> Tensor:
    """Return the mean count of a rank, bounded away from 0."""
    return world.average(count).clamp_min(1 / world.size)


def lowest(dtype: torch.dtype) -> float:
    """Return a finite stand-in for -inf, which vanishes in sums of exponentials and gives 0 when multiplied by 0."""
    return torch.finfo(dtype).min / 8
