"""Model: what a fit has learned, without the estimator."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skclr.balance import Balance
from skclr.build import build_modality, build_samples, build_untrained, check_read_alike, read_anew
from skclr.data import Rows
from skclr.encoders import Encoder
from skclr.modalities import Modality, PlainFeatures, check_two_samples
from skclr.part_choices import reading_of, sees_features
from skclr.plan import Plan
from skclr.randomness import draw_seed
from skclr.training import (
    ContrastiveNet,
    SampleTensors,
    embed_samples,
    make_views,
    undisturbed,
)

# Rows that tell the scale of an embedding.
_BALANCED_ROWS = 4_096
# Variance of an embedding, in its mean square: below, it is rounding.
_LEAST_SPREAD = 1e-10


class InputFeatures(BaseEstimator):
    """Number and names of X's columns, in the attributes in which scikit-learn's validation records them.

    Attributes
    ----------
    n_features_in_ : number of columns of a 2-D X.
    feature_names_in_ : names of the columns of a DataFrame with such.
    """


# Validation errors call an estimator by the name of its class.
InputFeatures.__name__ = "ContrastiveEmbedder"


@dataclass(frozen=True, eq=False)
class Reading:
    """How rows of X are read.

    It stays with the encoder too: who goes on from there reads samples as it did.

    Parameters
    ----------
    modality : fitted.
    features_in : columns of the X that it was fitted on.
    """

    modality: Modality
    features_in: InputFeatures

    @classmethod
    def of(cls, X: Rows, parameters: Mapping[str, Any], n_samples: float | None = None) -> tuple[Self, Any]:
        """Return how to read X, as learned from its first view, and the rows of that.

        Parameters
        ----------
        X : n samples.
        parameters : of the estimator.
        n_samples : to learn from in all; None is n.
        """
        first, n_samples = X.sides[0], len(X) if n_samples is None else n_samples
        carried = reading_of(parameters["encoder"])
        if carried is not None and isinstance(carried.modality, PlainFeatures):
            # The encoder has learned what these very features mean.
            check_read_alike(parameters["modality"], parameters["modality_params"], carried.modality.base_modality)
            return carried, carried.rows(first)
        modality = build_modality(first, parameters["modality"], parameters["modality_params"])
        features_in = InputFeatures()
        rows = read_anew(modality, first, features_in, parameters["encoder"])
        if sees_features(parameters, modality, n_samples, given=X.n_views > 1):
            modality = PlainFeatures(modality).fit(rows)
        return cls(modality, features_in), rows

    @property
    def names(self) -> np.ndarray | None:
        """Names of the columns, None where they had none."""
        return getattr(self.features_in, "feature_names_in_", None)

    def rows(self, X: Any) -> Any:
        """Read one view of samples of the same kind as those of the fit."""
        return self.modality.read(X, self.features_in, reset=False)

    def samples(self, X: Any, device: torch.device) -> SampleTensors:
        """Read samples of one view each.

        Raises
        ------
        ValueError : if X holds several views of each sample, or samples of another shape than in the fit.
        """
        return build_samples([self.rows(Rows.of(X).single())], self.modality, device)

    def features(self, samples: SampleTensors) -> np.ndarray:
        """Return the (n, n_features) float32 plain features of samples; no network is needed."""
        features = np.empty((len(samples), self.modality.n_features()), dtype=np.float32)
        embed_samples(self.modality.features, samples, features, any_length=self.modality.any_length)
        return features


@dataclass(frozen=True, eq=False)
class Model:
    """What a fit has learned: how rows are read, and the networks that were trained on them.

    Parameters
    ----------
    parameters : of the estimator, as they were in the fit.
    reading : reads X.
    net : trained: framework, view maker, optimiser and history.
    n_samples : that the net was trained on.
    n_plain : number of plain features that `transform` returns beside the embedding.
    balance : puts the embedding on their scale; None leaves it as it is.
    """

    parameters: Mapping[str, Any]
    reading: Reading
    net: ContrastiveNet
    n_samples: int
    n_plain: int
    balance: Balance | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any], reading: Reading, net: ContrastiveNet, n_samples: int) -> Self:
        """Return a model around a net, whose encoder learns how its samples are read."""
        encoder: Any = net.framework_.encoder
        encoder.reading = reading
        return cls(parameters, reading, net, n_samples, reading.modality.n_features() if net.plan.passthrough else 0)

    @property
    def plan(self) -> Plan:
        """All that decided the fit."""
        return self.net.plan

    @property
    def modality(self) -> Modality:
        """The fitted modality."""
        return self.reading.modality

    @property
    def encoder(self) -> Encoder:
        """The encoder, from samples to embeddings."""
        return self.net.framework_.encoder

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        tensors = itertools.chain(self.encoder.parameters(), self.encoder.buffers())
        return next((tensor.device for tensor in tensors), torch.device(self.net.device))

    @property
    def takes_views(self) -> bool:
        """Whether X held several views of each sample."""
        return self.net.view_maker.shows_given

    @property
    def n_features_out(self) -> int:
        """Number of columns of `transform`."""
        return self.encoder.out_features + self.n_plain

    @property
    def columns(self) -> Callable[[Tensor], Tensor]:
        """Computes the columns of `transform` that hold the embedding."""
        encoder, balance = self.encoder, self.balance
        return encoder if balance is None else lambda x: balance(encoder(x))

    @property
    def beside(self) -> Callable[[Tensor], Tensor] | None:
        """Computes the plain features that stand beside the embedding; None for none."""
        return self.modality.features if self.n_plain else None

    # -- verbs --------------------------------------------------------------------------------------

    def rows(self, X: Any) -> Rows:
        """Open X, with as many views of each sample as in the fit."""
        return Rows.of(X, paired=self.takes_views)

    def read(self, X: Any) -> SampleTensors:
        """Read samples to embed; see `Reading.samples`."""
        return self.reading.samples(X, self.device)

    def embed(self, samples: SampleTensors) -> np.ndarray:
        """Return the (n, d) float32 embeddings of samples, without plain features."""
        embeddings = np.empty((len(samples), self.encoder.out_features), dtype=np.float32)
        embed_samples(self.encoder, samples, embeddings, any_length=self.encoder.any_length)
        return embeddings

    def features(self, samples: SampleTensors) -> np.ndarray:
        """Return the (n, n_features) float32 plain features of samples."""
        return self.reading.features(samples)

    @undisturbed()
    def transform(self, X: Any) -> np.ndarray:
        """Return the (n, n_features_out) float32 features of X, which is read once."""
        samples = self.read(X)
        features = np.empty((len(samples), self.n_features_out), dtype=np.float32)
        any_length = self.encoder.any_length and (not self.n_plain or self.modality.any_length)
        embed_samples(self.columns, samples, features, self.beside, any_length=any_length)
        return features

    @undisturbed()
    def views(self, X: Any, random_state: Any = 0) -> list[np.ndarray]:
        """Return one (n, *shape_v) array per view, made as in training by a view maker fitted on X.

        Raises
        ------
        ValueError : if X has a single sample, or another number of views than in the fit.
        """
        rows = self.rows(X)
        if self.takes_views != (rows.n_views > 1):
            raise ValueError(f"X gives {rows.n_views} view(s) of each sample: give as many as in fit")
        sides = [self.reading.rows(side) for side in rows.sides]
        check_two_samples(sides[0], "score and make_views need", "; use KFold in place of LeaveOneOut")
        if self.encoder.any_length:
            sides = [self.modality.shortened(side) for side in sides]
        samples = build_samples(sides, self.modality, self.device)
        maker = copy.deepcopy(self.net.view_maker).fit(samples)
        return make_views(maker, samples, self.net.batch_size, draw_seed(random_state))

    # -- other models -------------------------------------------------------------------------------

    def untrained(self) -> Model:
        """Return a model of the same structure, with the weights that training began with."""
        net = build_untrained(self.plan, self.modality)
        net.module_.eval()
        return Model.of(self.parameters, self.reading, net, self.n_samples)

    def balanced(self, samples: SampleTensors) -> Model:
        """Return the model with its embedding on the scale of the plain features, as both are of training samples.

        Where all samples are alike there is no scale, and the embedding stays as it is.
        """
        if not self.n_plain:
            return self
        step = -(-len(samples) // _BALANCED_ROWS)
        some = samples.subset(np.arange(0, len(samples), step))
        total = float(self.features(some).var(0).sum())
        embedding = torch.from_numpy(self.embed(some))
        if not total or embedding.var(0).sum() <= _LEAST_SPREAD * embedding.square().mean(0).sum():
            return self
        return replace(self, balance=Balance().fit(embedding, self.modality.embedding_weight * total))

    def snapshot(self) -> Model:
        """Return a copy with the weights as they are now, for a net that is still training."""
        model = self.untrained()
        model.net.continue_from(self.net, optimizer=False)
        return model

    def to(self, device: torch.device) -> Model:
        """Return the model on a device; one that is there already is returned itself."""
        if device == self.device:
            return self
        net = copy.deepcopy(self.net)
        net.to(device)
        return replace(self, net=net)


def rows_of(embedder: Any, X: Any) -> Rows:
    """Open X as a fitted embedder does.

    Raises
    ------
    NotFittedError : if it has not been fitted.
    """
    check_is_fitted(embedder)
    model: Model = embedder.model_
    return model.rows(X)
