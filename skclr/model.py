"""Model: the result of a fit, without the estimator."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import csr_matrix, hstack
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skclr.balance import Balance, n_columns_for, share_of_weight, total_variance
from skclr.build import build_modality, build_samples, build_untrained, check_read_alike, read_training_rows
from skclr.data import Rows
from skclr.encoders import Encoder
from skclr.measures import evenly_spaced_rows, info_nce_bound
from skclr.modalities import Modality, PlainFeatures, check_two_samples, on_features
from skclr.part_choices import reading_of, sees_features
from skclr.plan import Plan
from skclr.randomness import draw_seed
from skclr.training import (
    ContrastiveNet,
    SampleTensors,
    embed_samples,
    embed_views,
    make_views,
    undisturbed,
)

# Number of rows from which the scale of an embedding is learned.
_BALANCED_ROWS = 4_096
# Number of rows from which its share of the weight is learned.
_SCORED_ROWS = 2_048
# Shown where the embedding has no columns.
LEFT_OUT = "The network learned too little from the {n:,} rows, so transform returns plain features only."
# Variance of an embedding, relative to its mean square; smaller ones are rounding errors.
_LEAST_SPREAD = 1e-10


class InputFeatures(BaseEstimator):
    """Number and names of the columns of X, recorded by scikit-learn's validation.

    Attributes
    ----------
    n_features_in_ : number of columns of a 2-D X.
    feature_names_in_ : names of the columns, if X is a DataFrame with string names.
    """


# scikit-learn's validation errors name the class of the estimator.
InputFeatures.__name__ = "ContrastiveEmbedder"


@dataclass(frozen=True, eq=False)
class Reading:
    """The fitted modality that reads X, and the columns that it was fitted on.

    The encoder keeps it too, so that a fit that continues from the encoder reads samples in the same way.

    Parameters
    ----------
    modality : fitted modality.
    features_in : columns of the X that it was fitted on.
    """

    modality: Modality
    features_in: InputFeatures

    @classmethod
    def of(cls, X: Rows, parameters: Mapping[str, Any], n_samples: float | None = None) -> tuple[Self, Any]:
        """Return a reading, learned from the first view of X, and the rows of that view.

        Parameters
        ----------
        X : n samples.
        parameters : parameters of the estimator.
        n_samples : total number of training samples; None is n.
        """
        first, n_samples = X.sides[0], len(X) if n_samples is None else n_samples
        carried = reading_of(parameters["encoder"])
        if carried is not None and isinstance(carried.modality, PlainFeatures):
            # The encoder was trained on exactly these features.
            check_read_alike(parameters["modality"], parameters["modality_params"], carried.modality.base_modality)
            return carried, carried.rows(first)
        modality = build_modality(first, parameters["modality"], parameters["modality_params"])
        if sees_features(parameters, modality, n_samples, given=X.n_views > 1):
            modality = on_features(modality)
        features_in = InputFeatures()
        return cls(modality, features_in), read_training_rows(modality, first, features_in, parameters["encoder"])

    @property
    def names(self) -> np.ndarray | None:
        """Names of the columns; None if they had none."""
        return getattr(self.features_in, "feature_names_in_", None)

    def rows(self, X: Any) -> Any:
        """Return the rows of one view of samples, which must be of the same kind as in the fit."""
        return self.modality.read(X, self.features_in, reset=False)

    def samples(self, X: Any, device: torch.device) -> SampleTensors:
        """Return samples of one view each.

        Raises
        ------
        ValueError : if X holds several views of each sample, or samples of another shape than in the fit.
        """
        return build_samples([self.rows(Rows.of(X).single())], self.modality, device)

    def features(self, samples: SampleTensors) -> np.ndarray | csr_matrix:
        """Return the (n, n_features) float32 plain features of samples; no network is needed."""
        if self.modality.sparse_features:
            return csr_matrix(samples.X[samples.rows])
        features = np.empty((len(samples), self.modality.n_features()), dtype=np.float32)
        embed_samples(self.modality.features, samples, features, any_length=self.modality.any_length)
        return features


@dataclass(frozen=True, eq=False)
class Model:
    """The result of a fit: the reading of X, and the trained networks.

    Parameters
    ----------
    parameters : parameters of the estimator, as in the fit.
    reading : reads X.
    net : trained net: framework, view maker, optimiser and history.
    n_samples : number of training samples.
    n_plain : number of plain features that `transform` appends to the embedding.
    balance : turns the embedding into columns next to the plain features; None keeps it unchanged.
    """

    parameters: Mapping[str, Any]
    reading: Reading
    net: ContrastiveNet
    n_samples: int
    n_plain: int
    balance: Balance | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any], reading: Reading, net: ContrastiveNet, n_samples: int) -> Self:
        """Return a model around a net, and store the reading in its encoder."""
        encoder: Any = net.framework_.encoder
        encoder.reading = reading
        return cls(parameters, reading, net, n_samples, reading.modality.n_features() if net.plan.passthrough else 0)

    @property
    def plan(self) -> Plan:
        """The plan of the fit, with all choices."""
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
        """The device of the encoder."""
        tensors = itertools.chain(self.encoder.parameters(), self.encoder.buffers())
        return next((tensor.device for tensor in tensors), torch.device(self.net.device))

    @property
    def takes_views(self) -> bool:
        """Whether X held several views of each sample."""
        return self.net.view_maker.shows_given

    @property
    def n_features_out(self) -> int:
        """Number of columns of `transform`."""
        return self.n_learned + self.n_plain

    @property
    def n_learned(self) -> int:
        """Number of columns of `transform` that hold the embedding; 0 if it adds nothing to the plain features."""
        return self.encoder.out_features if self.balance is None else self.balance.n_columns

    @property
    def has_sparse_output(self) -> bool:
        """Whether `transform` returns a sparse matrix."""
        return self.n_plain > 0 and self.modality.sparse_features

    @property
    def columns(self) -> Callable[[Tensor], Tensor]:
        """Function that computes the columns of `transform` that hold the embedding."""
        encoder = self.encoder
        return encoder if self.balance is None else lambda x: self.weighted(encoder(x))

    def weighted(self, embedding: Tensor) -> Tensor:
        """Return the columns of `transform` that hold an embedding (B, d)."""
        return embedding if self.balance is None else self.balance(embedding)

    @property
    def appended_features(self) -> Callable[[Tensor], Tensor] | None:
        """Function that computes the plain features appended to the embedding; None if there are none."""
        return self.modality.features if self.n_plain else None

    # -- verbs --------------------------------------------------------------------------------------

    def rows(self, X: Any) -> Rows:
        """Open X, with several views of each sample if X had several in the fit."""
        return Rows.of(X, paired=self.takes_views)

    def read(self, X: Any) -> SampleTensors:
        """Return samples to embed; see `Reading.samples`."""
        return self.reading.samples(X, self.device)

    def embed(self, samples: SampleTensors) -> np.ndarray:
        """Return the (n, d) float32 embeddings of samples, without plain features."""
        embeddings = np.empty((len(samples), self.encoder.out_features), dtype=np.float32)
        embed_samples(self.encoder, samples, embeddings, any_length=self.encoder.any_length)
        return embeddings

    def features(self, samples: SampleTensors) -> np.ndarray | csr_matrix:
        """Return the (n, n_features) float32 plain features of samples."""
        return self.reading.features(samples)

    @undisturbed()
    def transform(self, X: Any) -> np.ndarray | csr_matrix:
        """Return the (n, n_features_out) float32 features of X, which is read once."""
        samples = self.read(X)
        if self.has_sparse_output:
            return hstack([csr_matrix(self._columns_of(samples)), self.features(samples)], format="csr")
        if not self.n_learned:
            return self.features(samples)
        features = np.empty((len(samples), self.n_features_out), dtype=np.float32)
        any_length = self.encoder.any_length and (not self.n_plain or self.modality.any_length)
        embed_samples(self.columns, samples, features, self.appended_features, any_length=any_length)
        return features

    @undisturbed()
    def views(self, X: Any, random_state: Any = 0) -> list[np.ndarray]:
        """Return the views of X as in training, one (n, *shape_v) array per view; the view maker is fitted on X.

        Raises
        ------
        ValueError : if X has a single sample, or another number of views than in the fit.
        """
        rows = self.rows(X)
        if self.takes_views != (rows.n_views > 1):
            raise ValueError(f"X has {rows.n_views} view(s) of each sample. Pass the same number as in fit.")
        sides = [self.reading.rows(side) for side in rows.sides]
        check_two_samples(sides[0], "score and make_views need", "; use KFold in place of LeaveOneOut")
        if self.encoder.any_length:
            sides = [self.modality.shortened(side) for side in sides]
        samples = build_samples(sides, self.modality, self.device)
        maker = copy.deepcopy(self.net.view_maker).fit(samples)
        return make_views(maker, samples, self.net.batch_size, draw_seed(random_state))

    def _columns_of(self, samples: SampleTensors) -> np.ndarray:
        """Return the (n, n_learned) float32 columns of `transform` that hold the embedding."""
        columns = np.empty((len(samples), self.n_learned), dtype=np.float32)
        embed_samples(self.columns, samples, columns, any_length=self.encoder.any_length)
        return columns

    # -- other models -------------------------------------------------------------------------------

    def untrained(self) -> Model:
        """Return a model of the same structure, with the initial weights of training."""
        net = build_untrained(self.plan, self.modality)
        net.module_.eval()
        return Model.of(self.parameters, self.reading, net, self.n_samples)

    def balanced(self, samples: SampleTensors, share: float) -> Model:
        """Return the model with its embedding weighted against the plain features, by their training variances.

        If all embeddings are equal there is no scale, and the embedding is not changed.

        Parameters
        ----------
        samples : training samples, of one view each.
        share : share of its full weight that the embedding gets.
        """
        if not self.n_plain:
            return self
        some = samples.subset(evenly_spaced_rows(len(samples), _BALANCED_ROWS))
        total = total_variance(self.features(some))
        embedding = torch.from_numpy(self.embed(some))
        if not total or embedding.var(0).sum() <= _LEAST_SPREAD * embedding.square().mean(0).sum():
            return self
        weight, width = share * self.modality.embedding_weight, embedding.shape[1]
        if self.weighs_by_columns:
            width = min(width, n_columns_for(weight, self.n_plain))
            weight = width / self.n_plain
        return replace(self, balance=Balance().fit(embedding, width, weight * total))

    @property
    def weighs_by_columns(self) -> bool:
        """Whether the number of columns of the embedding is its weight; in a stream, it keeps all its directions."""
        return self.modality.even_features and not self.plan.endless

    def share_of_weight(self, samples: SampleTensors) -> float:
        """Return the share of its full weight that the embedding gets next to plain features, by a label-free score.

        It is 1 for an encoder that learned from labels, or not at all, and for modalities without such a score.

        Parameters
        ----------
        samples : training samples, with the views that X holds.
        """
        plan = self.plan
        is_scored = self.n_plain and self.weighs_by_columns and self.modality.weighed_by_score
        if not (is_scored and plan.max_epochs) or plan.positives == "labels":
            return 1.0
        some = samples.subset(evenly_spaced_rows(len(samples), _SCORED_ROWS))
        maker = copy.deepcopy(self.net.view_maker).fit(some)
        views = make_views(maker, some, self.net.batch_size, plan.random_state)[:2]
        z1, z2 = embed_views(self.encoder, views, self.device)
        return share_of_weight(info_nce_bound(z1, z2), len(some))

    def snapshot(self) -> Model:
        """Return a copy with the current weights, for a net that is still training."""
        model = self.untrained()
        model.net.continue_from(self.net, optimizer=False)
        return replace(model, balance=self.balance)

    def with_encoder(self, encoder: Encoder) -> Model:
        """Return a copy of the model with the weights of another encoder of the same structure."""
        net = copy.deepcopy(self.net)
        net.framework_.encoder.load_state_dict(encoder.state_dict())
        return replace(self, net=net)

    def to(self, device: torch.device) -> Model:
        """Return the model on a device: itself if it already is on it."""
        if device == self.device:
            return self
        net = copy.deepcopy(self.net)
        net.to(device)
        return replace(self, net=net)


def rows_of(embedder: Any, X: Any) -> Rows:
    """Open X as a fitted embedder does.

    Raises
    ------
    NotFittedError : if the embedder has not been fitted.
    """
    check_is_fitted(embedder)
    model: Model = embedder.model_
    return model.rows(X)
