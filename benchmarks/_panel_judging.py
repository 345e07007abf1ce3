"""Evaluate a representation by a linear model, with few labels and with all."""

from typing import Any

import numpy as np
import torch
from _panel_data import BUDGETS, draws
from _panel_logistic import compressed, fit, rotated
from scipy.sparse import issparse
from sklearn.metrics import accuracy_score, recall_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor

Scores = dict[str, dict[str, list[float]]]

SCALINGS = ("as it is", "standardised")
C_GRID = (0.01, 0.1, 1.0, 10.0, 100.0)
N_FOLDS, FEWEST_TO_VALIDATE = 3, 5
# Number of weights that are optimised at once; the memory of L-BFGS is 16 times as large.
LARGEST_BATCH = 4_000_000


def judge(train: Any, test: Any, y: np.ndarray, y_test: np.ndarray) -> dict[str, Scores]:
    """Score a representation as it is and, unless it is sparse, standardised: scaled n-grams would be the rare ones.

    Parameters
    ----------
    train, test : (n, d) features, dense or sparse, of training and test rows.
    y, y_test : classes, 0 to c - 1; test rows of a class without training rows are -1 and count as errors.

    Returns
    -------
    For each scaling and each budget "accuracy" and "balanced" accuracy, one number per draw. The scaler is fitted to
    all training rows, as the representation is.
    """
    scores = {}
    for scaling in SCALINGS[: 1 if issparse(train) else 2]:
        if scaling == "standardised":
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
        rows = compressed(train, test)
        drawn = {str(budget): draws(y, budget) for budget in BUDGETS}
        scores[scaling] = {budget: scored(predict(*rows, y, some), y_test) for budget, some in drawn.items() if some}
    return scores


def scored(predictions: list[np.ndarray], y_test: np.ndarray) -> dict[str, list[float]]:
    """Return accuracy and balanced accuracy of each draw."""
    accuracy = [accuracy_score(y_test, predicted) for predicted in predictions]
    # Over the classes of the test rows only.
    classes = np.unique(y_test)
    balanced = [recall_score(y_test, p, labels=classes, average="macro", zero_division=0) for p in predictions]
    return {"accuracy": [round(a, 5) for a in accuracy], "balanced": [round(b, 5) for b in balanced]}


def predict(train: np.ndarray, test: np.ndarray, y: np.ndarray, drawn: list[np.ndarray]) -> list[np.ndarray]:
    """Return the classes predicted for the test rows, from the labelled rows of each draw."""
    labels = y[drawn[0]]
    folds = folds_of(labels)
    width = min(len(labels), train.shape[1]) * (len(np.unique(y)) + 1) * len(C_GRID) * (len(folds) + 1)
    at_once = max(1, LARGEST_BATCH // width)
    parts = [drawn[i : i + at_once] for i in range(0, len(drawn), at_once)]
    return [classes for part in parts for classes in predict_part(train, test, y, part, folds)]


def folds_of(labels: np.ndarray) -> Tensor:
    """Return the (folds, n) masks of held-out rows, stratified by class; empty if there are too few labels."""
    largest = np.bincount(labels).max()
    n_folds = min(N_FOLDS, int(largest)) if largest >= FEWEST_TO_VALIDATE else 0
    places = np.empty(len(labels), int)
    for c in np.unique(labels):
        # Classes start with different folds, so that folds have equal sizes.
        rows = np.flatnonzero(labels == c)
        places[rows] = np.arange(len(rows)) + c
    return torch.from_numpy(np.arange(n_folds)[:, None] == places % max(n_folds, 1))


def predict_part(
    train: np.ndarray, test: np.ndarray, y: np.ndarray, drawn: list[np.ndarray], folds: Tensor
) -> list[np.ndarray]:
    """Predict for draws that are fitted at once: on all rows and without each fold, with each C."""
    rotations = [rotated(train[rows], test) for rows in drawn]
    width = max(r.train.shape[1] for r in rotations)
    rows = torch.stack([widened(r.train, width) for r in rotations])
    penalty = torch.stack([widened(r.penalty[None], width, 1.0)[0] for r in rotations])
    targets = torch.stack([torch.eye(int(y.max()) + 1)[y[rows]] for rows in drawn])
    C = torch.tensor(C_GRID if len(folds) else [1.0])
    masks = torch.cat([torch.ones(1, rows.shape[1]), (~folds).float()]).repeat_interleave(len(C), 0)
    weights = fit(rows, penalty, targets, masks.expand(len(drawn), -1, -1), C.repeat(len(folds) + 1))
    weights = weights.unflatten(2, (len(folds) + 1, len(C)))
    best = best_C(rows, targets, weights[:, :, 1:], folds)
    return [
        (r.test @ w[: r.test.shape[1], 0, i] + w[-1, 0, i]).argmax(1).numpy()
        for r, w, i in zip(rotations, weights, best, strict=True)
    ]


def widened(rows: Tensor, width: int, value: float = 0.0) -> Tensor:
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=value)


def best_C(rows: Tensor, targets: Tensor, weights: Tensor, folds: Tensor) -> list[int]:
    """Return the index of the C with the lowest log loss on held-out rows, for each draw.

    Parameters
    ----------
    rows, targets : as in `fit`.
    weights : (G, r + 1, folds, C, c) of the fits that leave a fold out.
    folds : (folds, n) the rows held out.
    """
    if not len(folds):
        return [0] * len(rows)
    # If a fold contains the only row of a class, no C can predict it.
    known = targets[0] @ (targets[0].T @ (~folds).T.float()) > 0
    counted = (folds & known.T).float()
    logits = torch.einsum("gnr,grfkc->gfknc", rows, weights[:, :-1]) + weights[:, -1][:, :, :, None]
    losses = -(logits.log_softmax(4) * targets[:, None, None]).sum(4)
    # On ties the strongest penalty, which is first in the grid.
    return (losses * counted[:, None]).sum((1, 3)).argmin(1).tolist()
