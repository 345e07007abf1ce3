"""Fine-tuning: its budget of steps, and a linear head that starts and ends as a logistic regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from skclr.ranks.collectives import world

STEPS = 300
# Few rows make few steps an epoch, and after so many epochs they are memorised.
_EPOCHS = 50
_BATCH = 64

# Parameters of pretraining that fine-tuning does without.
TUNING: dict[str, Any] = {
    "loss": "auto",
    "loss_params": None,
    "projection_dim": "auto",
    "positives": "labels",
    "encoder_params": None,
    "passthrough": False,
    "warmup_epochs": "auto",
    # There are no labels to spare for validation.
    "early_stopping": False,
    "validation_fraction": "auto",
    # The folder is that of the pretraining; this is done in seconds.
    "checkpoint_dir": None,
}


def budget(n_samples: int, n_steps: int, batch_size: Any) -> tuple[int, int]:
    """Return batch size and epochs of fine-tuning.

    Parameters
    ----------
    n_samples : labelled rows.
    n_steps : steps to spend at most.
    batch_size : of the pretraining, or "auto"; it is not exceeded.
    """
    most = _BATCH if batch_size == "auto" else min(_BATCH, int(batch_size))
    size = n_samples // math.ceil(n_samples / most)
    size = max(size - size % world.size, world.size)
    return size, min(_EPOCHS, math.ceil(n_steps / max(1, n_samples // size)))


def probe_into(head: nn.Linear, features: np.ndarray, codes: np.ndarray) -> None:
    """Set a linear layer to the logistic regression of the codes on standardised features."""
    scaler = StandardScaler().fit(features)
    probe = LogisticRegression(max_iter=1000).fit(scaler.transform(features), codes)
    weight, bias = probe.coef_, probe.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scaler.scale_
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias - weight @ scaler.mean_))


def fitted_classifier(head: nn.Linear) -> LogisticRegression:
    """Return a linear layer as a fitted classifier of codes."""
    weight, bias = head.weight.detach().cpu().double().numpy(), head.bias.detach().cpu().double().numpy()
    classifier = LogisticRegression()
    classifier.classes_ = np.arange(len(weight))
    if len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    classifier.coef_, classifier.intercept_ = weight, bias
    return classifier
