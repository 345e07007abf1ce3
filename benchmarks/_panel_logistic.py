"""Batched logistic regression: many draws, folds and penalties at once, with the solutions of scikit-learn.

The minimiser of an L2-penalised logistic loss lies in the span of its (centred) rows. So each draw is rotated into
at most as many columns as it has rows, its columns are whitened, and L-BFGS runs on all problems of a budget at once.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from scipy.sparse import issparse
from torch import Tensor

MEMORY, MAX_ITER, PRUNED_EVERY = 8, 200, 10
# Below this, the product of a step and a change of gradient is rounding error.
TINY = 1e-20
# Curvature of the softmax loss in a logit: p(1 - p), at most a quarter.
CURVATURE = 0.25


class Rotated(NamedTuple):
    """Rows in the coordinates of a draw: whitened, with the penalty of a unit weight on each column."""

    train: Tensor
    test: Tensor
    penalty: Tensor


def compressed(train: Any, test: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both in at most as many columns as there are training rows, with all inner products kept."""
    if train.shape[1] <= train.shape[0]:
        train, test = (rows.toarray() if issparse(rows) else rows for rows in (train, test))
        return np.asarray(train, np.float64), np.asarray(test, np.float64)
    train, test = (rows.astype(np.float64) for rows in (train, test))
    gram, cross = (rows.toarray() if issparse(rows) else rows for rows in (train @ train.T, test @ train.T))
    # Repeated rows make the Gram matrix singular.
    gram[np.diag_indices_from(gram)] += 1e-10 * np.trace(gram) / len(gram)
    factor = np.linalg.cholesky(gram)
    return factor, scipy.linalg.solve_triangular(factor, cross.T, lower=True).T


def rotated(train: np.ndarray, test: np.ndarray) -> Rotated:
    """Centre on the training rows and whiten them."""
    n, mean = len(train), train.mean(0)
    train, test = train - mean, test - mean
    if train.shape[1] > n:
        scale2, left = np.linalg.eigh(train @ train.T)
        kept = scale2 > 1e-12 * max(scale2[-1], 1e-300)
        scale, left = np.sqrt(scale2[kept]), left[:, kept]
        right = train.T @ (left / scale)
    else:
        left, scale, right = np.linalg.svd(train, full_matrices=False)
        kept = scale > 1e-12 * max(scale[0], 1e-300)
        left, scale, right = left[:, kept], scale[kept], right[kept].T
    whitened = n**0.5 * left, (test @ right) * (n**0.5 / scale), n / scale**2
    return Rotated(*(torch.from_numpy(np.ascontiguousarray(a)).float() for a in whitened))


def fit(rows: Tensor, penalty: Tensor, targets: Tensor, masks: Tensor, C: Tensor) -> Tensor:
    """Minimise C Σ loss + ½‖w‖² for each draw and each problem, a problem being some of the rows and a C.

    Parameters
    ----------
    rows : (G, n, r) whitened rows of G draws, r the largest rank.
    penalty : (G, r) cost of unit weights.
    targets : (G, n, c) one-hot classes.
    masks : (G, P, n) the rows of each problem.
    C : (P,) inverse penalties; as in scikit-learn, two classes share one weight vector.

    Returns
    -------
    (G, r + 1, P, c) weights, the intercept last.
    """
    C = C / 2 if targets.shape[2] == 2 else C
    sizes = masks.sum(2)
    penalties = F.pad(penalty[:, :, None] / (C * sizes)[:, None], (0, 0, 0, 1))
    scale = (CURVATURE + penalties).rsqrt()
    problems = Problems(
        F.pad(rows, (0, 1), value=1.0),
        targets[:, :, None],
        (masks / sizes[..., None]).mT[..., None],
        scale[..., None],
        (penalties * scale**2)[..., None],
    )
    return minimised(problems)


class Problems(NamedTuple):
    """Problems in coordinates of about unit curvature: mean losses, of (G, r + 1, P, c) weights over `scale`."""

    rows: Tensor
    """(G, n, r + 1)"""
    targets: Tensor
    """(G, n, 1, c)"""
    weights: Tensor
    """(G, n, P, 1), summing to 1 over the rows of a problem."""
    scale: Tensor
    """(G, r + 1, P, 1)"""
    penalties: Tensor
    """(G, r + 1, P, 1)"""

    def evaluated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (G, P) values at x and the gradients, shaped as x."""
        log_p = (self.rows @ (self.scale * x).flatten(2)).unflatten(2, x.shape[2:]).log_softmax(3)
        residual = self.weights * (log_p.exp() - self.targets)
        gradient = self.scale * (self.rows.mT @ residual.flatten(2)).view(x.shape) + self.penalties * x
        return 0.5 * dot(self.penalties * x, x) - dot(self.weights * self.targets, log_p), gradient

    def only(self, chosen: Tensor) -> "Problems":
        """Return the chosen problems, by a mask (P,)."""
        return Problems(self.rows, self.targets, *(part[:, :, chosen] for part in self[2:]))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product for each problem, (G, P)."""
    return (a * b).sum((1, 3))


def spread(values: Tensor) -> Tensor:
    """Return a number for each problem, (G, P), in a shape that multiplies weights."""
    return values[:, None, :, None]


def converged(value: Tensor, gradient: Tensor) -> Tensor:
    """Return which problems are solved; for nearly separable rows, losses and gradients at the solution are small."""
    return dot(gradient, gradient) < (1e-3 * value**2).clamp(1e-12, 1e-8)


def minimised(problems: Problems) -> Tensor:
    """Return the weights of all problems; problems that have converged leave the batch."""
    n_classes = problems.targets.shape[3]
    weights = torch.zeros(*problems.scale.shape[:3], n_classes)
    active = torch.arange(weights.shape[2])
    state = State.start(problems)
    for _ in range(MAX_ITER // PRUNED_EVERY):
        state = state.advanced(problems, PRUNED_EVERY)
        weights[:, :, active] = problems.scale * state.x
        going = ~converged(state.value, state.gradient).all(0)
        if not going.any():
            break
        active, problems, state = active[going], problems.only(going), state.only(going)
    return weights


class Move(NamedTuple):
    """A step of L-BFGS, the change of the gradient, and the inverse of their inner product; zeros without a step."""

    step: Tensor
    change: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, step: Tensor, change: Tensor) -> "Move":
        curved = dot(step, change)
        return cls(step, change, torch.where(curved > TINY, curved.clamp(min=TINY).reciprocal(), 0.0))

    def only(self, chosen: Tensor) -> "Move":
        return Move(self.step[:, :, chosen], self.change[:, :, chosen], self.inverse[:, chosen])


class State(NamedTuple):
    """State of L-BFGS; each problem has its own step size."""

    x: Tensor
    value: Tensor
    gradient: Tensor
    step: Tensor
    moves: list[Move]

    @classmethod
    def start(cls, problems: Problems) -> "State":
        x = torch.zeros(*problems.scale.shape[:3], problems.targets.shape[3])
        value, gradient = problems.evaluated(x)
        return cls(x, value, gradient, torch.ones_like(value), [])

    def only(self, chosen: Tensor) -> "State":
        """Return the state of the chosen problems, by a mask (P,)."""
        x, gradient = self.x[:, :, chosen], self.gradient[:, :, chosen]
        moves = [move.only(chosen) for move in self.moves]
        return State(x, self.value[:, chosen], gradient, self.step[:, chosen], moves)

    def advanced(self, problems: Problems, n_steps: int) -> "State":
        state = self
        for _ in range(n_steps):
            state = state.next(problems)
        return state

    def next(self, problems: Problems) -> "State":
        """Take a step; problems that would not descend enough stay and halve their step size."""
        direction = -newton(self.gradient, self.moves)
        x = self.x + spread(self.step) * direction
        value, gradient = problems.evaluated(x)
        # Rounding hides a descent in the last bits.
        enough = self.value + 1e-4 * self.step * dot(direction, self.gradient) + 1e-6 * self.value
        taken = value <= enough
        x, gradient = (torch.where(spread(taken), a, b) for a, b in ((x, self.x), (gradient, self.gradient)))
        move = Move.of(x - self.x, gradient - self.gradient)
        value, step = torch.where(taken, value, self.value), torch.where(taken, 1.0, self.step / 2)
        return State(x, value, gradient, step, [*self.moves[1 - MEMORY :], move])


def newton(gradient: Tensor, moves: list[Move]) -> Tensor:
    """Return the gradient times the inverse Hessian suggested by past moves (the two-loop recursion)."""
    result, factors = gradient, []
    for move in reversed(moves):
        factors.append(move.inverse * dot(move.step, result))
        result = result - spread(factors[-1]) * move.change
    if moves:
        _, change, inverse = moves[-1]
        scale = (inverse * dot(change, change)).clamp(min=TINY).reciprocal()
        result = result * spread(torch.where(inverse > 0, scale, 1.0))
    for move, factor in zip(moves, reversed(factors), strict=True):
        result = result + spread(factor - move.inverse * dot(move.change, result)) * move.step
    return result
