"""Training of a model's encoder on labelled samples: fine-tuning under a linear head, and from random weights."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from skclr.data import Rows
from skclr.encoders.base import Encoder
from skclr.fitting import begin, run, samples_to_fit
from skclr.frameworks import Framework, Recipe, Supervised
from skclr.logistic import cross_validation_folds, fit_recommended
from skclr.model import Model
from skclr.ranks.collectives import world
from skclr.training import SampleTensors, embed_samples, undisturbed
from skclr.views import CallableViews

STEPS = 100
# After each part of the steps, held-out samples tell whether to go on.
_N_PARTS = 4
_BATCH = 64
# With few rows there are few steps per epoch, and from random weights more epochs would memorise them.
_SUPERVISED_STEPS, _EPOCHS = 300, 50

# Parameters of the pretraining that training on labels replaces.
_WITH_LABELS: dict[str, Any] = {
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
_TUNING: dict[str, Any] = {
    **_WITH_LABELS,
    "views": CallableViews(torch.clone, n_views=1),
    "views_params": None,
    "optimizer": "adamw",
    "optimizer_params": None,
    "learning_rate": "auto",
    "weight_decay": "auto",
    "lr_schedule": "constant",
    "warmup_epochs": 0,
}
# Trainings of the cross-validation are not shown.
_QUIETLY: dict[str, Any] = {"verbose": 0, "callbacks": None}


class PenalizedHead(Framework):
    """A logistic regression of a model's features, trained together with the encoder by its own penalised loss.

    Parameters
    ----------
    encoder : encoder of the model.
    model : computes the features; its own encoder is not used.
    frozen : logistic regression fitted on the features, from which the head starts.
    n_samples : number of samples that it was fitted on.
    """

    exact_views = 1
    uses_groups = True
    recipes = {"adamw": Recipe(learning_rate=2e-4, weight_decay=0.0, scaling=0.5)}

    def __init__(self, encoder: Encoder, model: Model, frozen: LogisticRegression, n_samples: int) -> None:
        super().__init__(encoder)
        self.weighted, self.plain_features = model.weighted, model.appended_features
        self.encoder.eval()
        self.head = _as_linear_layer(frozen)
        # scikit-learn penalises half the square of the weights; of two classes, it has the difference of the weights.
        self.penalty = (1 if len(frozen.classes_) == 2 else 0.5) / (frozen.C * n_samples)

    def train(self, mode: bool = True) -> Self:
        """Switch the mode of the head; the encoder keeps the statistics of the pretraining, which saw more rows."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        """Return the penalised mean cross-entropy, which the frozen head minimises for the encoder as it was."""
        loss = F.cross_entropy(self.logits(views[0]), groups)
        return loss + self.penalty * self.head.weight.square().sum()

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (B, n_classes) of samples (B, *shape)."""
        features = self.weighted(self.encoder(x))
        if self.plain_features is not None:
            features = torch.cat([features, self.plain_features(x)], 1)
        return self.head(features)


@undisturbed()
def tune(model: Model, X: Any, codes: np.ndarray, *, n_steps: int = STEPS) -> tuple[Model, LogisticRegression]:
    """Fine-tune a copy of a model's encoder, under a logistic regression of its features, on labelled samples.

    Cross-validation chooses the number of steps: with 0, the model stays as it is. That is also the result if there are
    too few labels to choose, see `cross_validation_folds`, or if `transform` returns plain features only or a sparse
    matrix.

    Parameters
    ----------
    model : trained model; it is not changed.
    X : n labelled samples.
    codes : (n,) classes, as integers from 0.
    n_steps : maximum number of optimiser steps, rounded up to whole epochs.

    Returns
    -------
    The tuned model, and a logistic regression of what its `transform` returns.

    References
    ----------
    Kumar et al. 2022 (LP-FT): a random head distorts the features before it has learned. Differs: the head keeps the
    penalty of the logistic regression, normalisation keeps its statistics, and samples are not augmented.
    """
    rows = Rows.of(model.rows(X).first.single())
    features = model.transform(rows.as_given())
    frozen = fit_recommended(features, codes)
    samples = _labelled(model, rows, codes)
    # Sparse plain features are not among the tensors that networks see.
    can_tune = model.n_learned and not issparse(features)
    n_parts = _choose_parts(model, samples, features, codes, frozen, n_steps) if can_tune else 0
    if not n_parts:
        return model, frozen
    tuned = _begin_tuning(model, samples, frozen, n_steps)
    for _ in range(n_parts):
        run(tuned, samples)
    framework: Any = tuned.net.framework_
    return model.with_encoder(tuned.encoder), _as_logistic_regression(framework.head, **frozen.get_params())


def train_supervised(model: Model, X: Any, codes: np.ndarray) -> tuple[Model, LogisticRegression]:
    """Train a copy of an untrained model's encoder, and a linear layer on it, on labelled samples.

    Parameters
    ----------
    model, X, codes : as for `tune`.

    Returns
    -------
    The trained model, whose `transform` returns only the embedding, and the layer as a logistic regression.
    """
    batch_size, max_epochs = _budget(len(codes), _SUPERVISED_STEPS, model.parameters["batch_size"])
    parameters = {
        **model.parameters,
        **_WITH_LABELS,
        "framework": Supervised,
        "framework_params": {"n_classes": int(codes.max()) + 1},
        "encoder": model.encoder,
        "batch_size": batch_size,
        "max_epochs": min(_EPOCHS, max_epochs),
    }
    rows = model.rows(X)
    samples = _labelled(model, rows, codes)
    trained = begin(parameters, model.reading, samples, given=rows.n_views > 1)
    run(trained, samples)
    framework: Any = trained.net.framework_
    return trained, _as_logistic_regression(framework.classifier)


def _labelled(model: Model, rows: Rows, codes: np.ndarray) -> SampleTensors:
    """Return samples whose groups are the classes."""
    sides = [model.reading.rows(side) for side in rows.sides]
    return samples_to_fit(model.reading, sides, {**model.parameters, **_WITH_LABELS}, model.device, codes)


def _begin_tuning(
    model: Model, samples: SampleTensors, frozen: LogisticRegression, n_steps: int, **changed: Any
) -> Model:
    """Return a copy of a model under a logistic regression of its features; `run` trains both for a part of the steps.

    Parameters
    ----------
    frozen : logistic regression of the features of the samples.
    **changed : further parameters.
    """
    batch_size, max_epochs = _budget(len(samples), math.ceil(n_steps / _N_PARTS), model.parameters["batch_size"])
    parameters = {
        **model.parameters,
        **_TUNING,
        "framework": PenalizedHead,
        "framework_params": {"model": model, "frozen": frozen, "n_samples": len(samples)},
        "encoder": model.encoder,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        **changed,
    }
    return begin(parameters, model.reading, samples, given=False)


def _choose_parts(
    model: Model,
    samples: SampleTensors,
    features: np.ndarray,
    codes: np.ndarray,
    frozen: LogisticRegression,
    n_steps: int,
) -> int:
    """Return after how many parts of the steps the loss on held-out samples is lowest, by cross-validation.

    Parameters
    ----------
    model, n_steps : as for `tune`.
    samples, features, codes : labelled samples, what `transform` returns for them, and their classes.
    frozen : logistic regression of the features.
    """
    folds = cross_validation_folds(codes) if n_steps else []
    if not folds:
        return 0
    tuned = [
        _begin_tuning(
            model, samples.subset(train), clone(frozen).fit(features[train], codes[train]), n_steps, **_QUIETLY
        )
        for train, _ in folds
    ]

    def held_out_loss() -> float:
        return float(np.mean([_loss(each, samples.subset(test)) for each, (_, test) in zip(tuned, folds, strict=True)]))

    losses = [held_out_loss()]
    for _ in range(_N_PARTS):
        for each, (train, _) in zip(tuned, folds, strict=True):
            run(each, samples.subset(train))
        losses.append(held_out_loss())
        if losses[-1] > min(losses):
            break
    return int(np.argmin(losses))


def _loss(tuned: Model, samples: SampleTensors) -> float:
    """Return the mean cross-entropy of labelled samples."""
    framework: Any = tuned.net.framework_
    logits = np.empty((len(samples), framework.head.out_features), dtype=np.float32)
    embed_samples(framework.logits, samples, logits, any_length=False)
    return float(F.cross_entropy(torch.from_numpy(logits), samples.groups))


def _budget(n_samples: int, n_steps: int, batch_size: Any) -> tuple[int, int]:
    """Return batch size and epochs of a training on labels.

    Parameters
    ----------
    n_samples : number of labelled rows.
    n_steps : number of steps, rounded up to whole epochs.
    batch_size : batch size of the pretraining, or "auto"; it is not exceeded.
    """
    most = _BATCH if batch_size == "auto" else min(_BATCH, int(batch_size))
    size = n_samples // math.ceil(n_samples / most)
    size = max(size - size % world.size, world.size)
    return size, math.ceil(n_steps / max(1, n_samples // size))


def _as_linear_layer(classifier: LogisticRegression) -> nn.Linear:
    """Return a fitted logistic regression as a linear layer to one logit per class."""
    weight, bias = classifier.coef_, classifier.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    layer = nn.Linear(*weight.shape[::-1])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _as_logistic_regression(layer: nn.Linear, **parameters: Any) -> LogisticRegression:
    """Return a linear layer as a fitted logistic regression of the codes."""
    weight, bias = layer.weight.detach().cpu().double().numpy(), layer.bias.detach().cpu().double().numpy()
    classifier = LogisticRegression(**parameters)
    classifier.classes_ = np.arange(len(weight))
    if len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    classifier.coef_, classifier.intercept_ = weight, bias
    return classifier
