"""Fine-tuning of a fitted encoder under a linear head, which is a logistic regression before and after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from skclr.fitting import begin, run, samples_to_fit
from skclr.frameworks import Supervised
from skclr.model import Model
from skclr.ranks.collectives import world
from skclr.training import undisturbed

STEPS = 300
# With few rows there are few steps per epoch, and more epochs would memorise them.
_EPOCHS = 50
_BATCH = 64

# Parameters of the pretraining that fine-tuning replaces.
_TUNING: dict[str, Any] = {
    "loss": "auto",
    "loss_params": None,
    "projection_dim": "auto",
    "positives": "labels",
    "encoder_params": None,
    "passthrough": False,
    "warmup_epochs": "auto",
    # All labels are needed for training.
    "early_stopping": False,
    "validation_fraction": "auto",
    # The folder belongs to the pretraining, and fine-tuning only takes seconds.
    "checkpoint_dir": None,
}


@undisturbed()
def tune(model: Model, X: Any, codes: np.ndarray, *, n_steps: int = STEPS) -> tuple[Model, LogisticRegression]:
    """Fine-tune a copy of a model's encoder, under a linear head, on labelled samples.

    The head starts as a logistic regression on the frozen embedding. Epochs and batch size depend on the number of
    labelled samples.

    Parameters
    ----------
    model : trained model; it is not changed.
    X : n labelled samples.
    codes : (n,) classes, as integers from 0.
    n_steps : approximate number of optimiser steps; few samples make fewer.

    Returns
    -------
    The tuned model, whose `transform` returns only the embedding, and the head as a logistic regression.

    References
    ----------
    Kumar et al. 2022 (LP-FT): a random head distorts the features before it has learned. Differs: the logistic
    regression uses standardised features.
    """
    batch_size, max_epochs = _budget(len(codes), n_steps, model.parameters["batch_size"])
    parameters = {
        **model.parameters,
        **_TUNING,
        "framework": Supervised,
        "framework_params": {"n_classes": int(codes.max()) + 1},
        "encoder": model.encoder,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
    }
    rows = model.rows(X)
    sides = [model.reading.rows(side) for side in rows.sides]
    samples = samples_to_fit(model.reading, sides, parameters, model.device, codes)
    tuned = begin(parameters, model.reading, samples, given=rows.n_views > 1)
    head: Any = tuned.net.framework_.classifier
    _initialize_head(head, model.embed(model.read(rows.first)), codes)
    run(tuned, samples)
    return tuned, _fitted_classifier(head)


def _budget(n_samples: int, n_steps: int, batch_size: Any) -> tuple[int, int]:
    """Return batch size and epochs of fine-tuning.

    Parameters
    ----------
    n_samples : number of labelled rows.
    n_steps : maximum number of steps.
    batch_size : batch size of the pretraining, or "auto"; it is not exceeded.
    """
    most = _BATCH if batch_size == "auto" else min(_BATCH, int(batch_size))
    size = n_samples // math.ceil(n_samples / most)
    size = max(size - size % world.size, world.size)
    return size, min(_EPOCHS, math.ceil(n_steps / max(1, n_samples // size)))


def _initialize_head(head: nn.Linear, features: np.ndarray, codes: np.ndarray) -> None:
    """Initialise a linear layer with a logistic regression of the codes on standardised features."""
    scaler = StandardScaler().fit(features)
    probe = LogisticRegression(max_iter=1000).fit(scaler.transform(features), codes)
    weight, bias = probe.coef_, probe.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scaler.scale_
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias - weight @ scaler.mean_))


def _fitted_classifier(head: nn.Linear) -> LogisticRegression:
    """Return a linear layer as a fitted logistic regression of the codes."""
    weight, bias = head.weight.detach().cpu().double().numpy(), head.bias.detach().cpu().double().numpy()
    classifier = LogisticRegression()
    classifier.classes_ = np.arange(len(weight))
    if len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    classifier.coef_, classifier.intercept_ = weight, bias
    return classifier
