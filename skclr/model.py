"""Model: what a fit has learned, without the estimator."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from skclr.build import build_framework, build_modality, build_net, build_samples, read_anew
from skclr.data import Rows
from skclr.encoders import Encoder
from skclr.fine_tuning import STEPS, TUNING, budget, fitted_classifier, probe_into
from skclr.frameworks import Supervised
from skclr.modalities import Modality, check_two_samples
from skclr.parameters import check_parameters
from skclr.plan import Plan
from skclr.planning import check_freeze, check_ranks_alike, check_settled, choose_device, plan_fit, telling
from skclr.randomness import DrawsFrom, draw_seed
from skclr.training import (
    Checkpoints,
    ContrastiveNet,
    Samples,
    agree,
    check_chunk_size,
    check_length,
    embed_samples,
    free,
    handle_ctrl_c,
    is_out_of_memory,
    make_views,
    row_groups,
    undisturbed,
)
from skclr.views import shows_given


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
    def of(cls, X: Any, parameters: Mapping[str, Any]) -> tuple[Self, Any]:
        """Return how to read X, as learned from X, and the rows of X.

        Parameters
        ----------
        X : one view of n samples.
        parameters : of the estimator.
        """
        modality = build_modality(X, parameters["modality"], parameters["modality_params"])
        features_in = InputFeatures()
        rows = read_anew(modality, X, features_in, parameters["encoder"])
        return cls(modality, features_in), rows

    @property
    def names(self) -> np.ndarray | None:
        """Names of the columns, None where they had none."""
        return getattr(self.features_in, "feature_names_in_", None)

    def rows(self, X: Any) -> Any:
        """Read one view of samples of the same kind as those of the fit."""
        return self.modality.read(X, self.features_in, reset=False)

    def samples(self, X: Any, device: torch.device) -> Samples:
        """Read samples of one view each.

        Raises
        ------
        ValueError : if X holds several views of each sample, or samples of another shape than in the fit.
        """
        return Samples(self.rows(Rows.of(X).single()), self.modality.to_tensor, device)

    def features(self, samples: Samples) -> np.ndarray:
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
    """

    parameters: Mapping[str, Any]
    reading: Reading
    net: ContrastiveNet
    n_samples: int
    n_plain: int

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
    def beside(self) -> Callable[[Tensor], Tensor] | None:
        """Computes the plain features that stand beside the embedding; None for none."""
        return self.modality.features if self.n_plain else None

    # -- verbs --------------------------------------------------------------------------------------

    def read(self, X: Any) -> Samples:
        """Read samples to embed; see `Reading.samples`."""
        return self.reading.samples(X, self.device)

    def embed(self, samples: Samples) -> np.ndarray:
        """Return the (n, d) float32 embeddings of samples, without plain features."""
        embeddings = np.empty((len(samples), self.encoder.out_features), dtype=np.float32)
        embed_samples(self.encoder, samples, embeddings, any_length=self.encoder.any_length)
        return embeddings

    def features(self, samples: Samples) -> np.ndarray:
        """Return the (n, n_features) float32 plain features of samples."""
        return self.reading.features(samples)

    @undisturbed()
    def transform(self, X: Any) -> np.ndarray:
        """Return the (n, n_features_out) float32 features of X, which is read once."""
        samples = self.read(X)
        features = np.empty((len(samples), self.n_features_out), dtype=np.float32)
        any_length = self.encoder.any_length and (not self.n_plain or self.modality.any_length)
        embed_samples(self.encoder, samples, features, self.beside, any_length=any_length)
        return features

    @undisturbed()
    def views(self, X: Any, random_state: Any = 0) -> list[np.ndarray]:
        """Return one (n, *shape_v) array per view, made as in training by a view maker fitted on X.

        Raises
        ------
        ValueError : if X has a single sample, or another number of views than in the fit.
        """
        rows = Rows.of(X, paired=self.takes_views)
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
        net = _build_net(self.plan, self.modality)
        net.module_.eval()
        return Model.of(self.parameters, self.reading, net, self.n_samples)

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

    @undisturbed()
    def tuned(self, X: Any, codes: np.ndarray, *, n_steps: int = STEPS) -> tuple[Model, LogisticRegression]:
        """Train a copy of the encoder further, under a linear head, on labelled samples.

        The head starts as a logistic regression on the frozen embedding. Epochs and batch size follow from the number
        of labelled samples.

        Parameters
        ----------
        X : n labelled samples.
        codes : (n,) classes from 0 on.
        n_steps : optimiser steps, about; few samples make fewer.

        Returns
        -------
        The tuned model, whose `transform` returns the embedding alone, and the head as a logistic regression.

        References
        ----------
        Kumar et al. 2022 (LP-FT): a random head distorts the features before it has learned. Differs: the logistic
        regression is on standardised features.
        """
        batch_size, max_epochs = budget(len(codes), n_steps, self.parameters["batch_size"])
        parameters = {
            **self.parameters,
            **TUNING,
            "framework": Supervised,
            "framework_params": {"n_classes": int(codes.max()) + 1},
            "encoder": self.encoder,
            "batch_size": batch_size,
            "max_epochs": max_epochs,
        }
        rows = Rows.of(X, paired=self.takes_views)
        sides = [self.reading.rows(side) for side in rows.sides]
        samples = _samples_to_fit(self.reading, sides, parameters, self.device, codes)
        tuned = _begin(parameters, self.reading, samples, given=rows.n_views > 1)
        head: Any = tuned.net.framework_.classifier
        probe_into(head, self.embed(self.read(rows.first)), codes)
        _run(tuned, samples)
        return tuned, fitted_classifier(head)


# -- training -----------------------------------------------------------------------------------------


def train(
    parameters: Mapping[str, Any],
    X: Any,
    y: Any = None,
    groups: Any = None,
    unlabeled: Any = None,
    *,
    before: Model | None = None,
    endless: bool = False,
    watched: Callable[[Model, Any], AbstractContextManager[None]] = lambda model, X: nullcontext(),
) -> Model:
    """Train a model.

    Parameters
    ----------
    parameters : of the estimator.
    X, y, groups, unlabeled : as for its `fit`.
    before : whose reading and weights training starts from; it stays as it is.
    endless : whether X is one piece of a stream.
    watched : takes the model and X to a context that it is trained in.

    Raises
    ------
    ValueError : for data and parameters that cannot be used.
    MemoryError : where training does not fit; says what to lower.
    """
    with out_of_memory_explained():
        check_parameters(parameters)
        rows = Rows.of(X, paired=shows_given(parameters["views"]))
        if before is None:
            reading, first = Reading.of(rows.sides[0], parameters)
        else:
            reading = before.reading
            first = reading.rows(rows.sides[0])
        sides = [first, *map(reading.rows, rows.sides[1:])]
        device = choose_device(parameters["device"])
        samples = _samples_to_fit(reading, sides, parameters, device, y, groups, unlabeled)
        model = _begin(parameters, reading, samples, given=rows.n_views > 1, endless=endless, before=before)
        if (groups is not None or parameters["positives"] == "labels") and not model.net.module_.uses_groups:
            raise ValueError(
                f"framework={parameters['framework']!r} makes no use of labels or groups: set positives='views' and "
                "give no groups, or choose simclr, moco or nnclr"
            )
        if before is None:
            check_freeze(model.plan)
        else:
            model.net.continue_from(before.net, optimizer=endless)
        with watched(model, rows.as_given()):
            _run(model, samples)
        return model


def _samples_to_fit(
    reading: Reading,
    sides: list[Any],
    parameters: Mapping[str, Any],
    device: torch.device,
    y: Any,
    groups: Any = None,
    unlabeled: Any = None,
) -> Samples:
    """Return the samples of all rows, with their positive groups.

    Parameters
    ----------
    sides : the rows of each view that X holds, as `reading` reads them.
    """
    n_samples, by_label = sides[0].shape[0], parameters["positives"] == "labels"
    if y is not None:
        check_length("y", y, n_samples)
    elif by_label:
        raise ValueError("positives='labels' needs y: give fit(X, y), or use positives='views'")
    if unlabeled is not None:
        more = Rows.of(unlabeled, paired=shows_given(parameters["views"]))
        if more.n_views != len(sides):
            raise ValueError(f"unlabeled gives {more.n_views} view(s), but X gives {len(sides)}: give as many")
        with _named("unlabeled"):
            joined = [reading.rows(side) for side in more.sides]
        sides = [reading.modality.join(*parts) for parts in zip(sides, joined, strict=True)]
    ids = row_groups(n_samples, y if by_label else None, groups, n_extra=sides[0].shape[0] - n_samples)
    samples = build_samples(sides, reading.modality, device, ids)
    check_two_samples(samples)
    handle_ctrl_c()
    return samples


def _begin(
    parameters: Mapping[str, Any],
    reading: Reading,
    samples: Samples,
    *,
    given: bool,
    endless: bool = False,
    before: Model | None = None,
) -> Model:
    """Return the model that training of the samples begins with.

    Parameters
    ----------
    given : whether X holds several views of each sample.
    before : that the fit continues; its plan must name the same parts.
    """
    # Dictionaries are copied: one that the user changes in place later is another.
    parameters = {name: dict(value) if isinstance(value, dict) else value for name, value in parameters.items()}
    if before is not None:
        check_settled(parameters, reading.modality, before.plan)
    seed = agree(draw_seed(parameters["random_state"]))
    facts: dict[str, Any] = {"seed": seed, "given": given, "endless": endless}
    plan = plan_fit(parameters, reading.modality, len(samples), samples.device, **facts)
    check_ranks_alike(plan)
    checkpoints = None if endless else _checkpoints(parameters, plan)
    net = _build_net(plan, reading.modality, verbose=parameters["verbose"], checkpoints=checkpoints)
    return Model.of(parameters, reading, net, len(samples))


def _run(model: Model, samples: Samples) -> None:
    if model.net.max_epochs:
        samples.settle()
        model.net.partial_fit(samples)
    model.net.module_.eval()


def _build_net(plan: Plan, modality: Modality, **settings: Any) -> ContrastiveNet:
    """Build a net with the weights that training by a plan begins with."""
    with DrawsFrom(plan.random_state):
        framework = build_framework(plan.framework, plan.encoder, plan.loss, plan.freeze, modality)
        check_chunk_size(framework.encoder, plan.chunk_size, modality.example())
    return build_net(plan, framework, modality, **settings)


def _checkpoints(parameters: Mapping[str, Any], plan: Plan) -> Checkpoints | None:
    folder = parameters["checkpoint_dir"]
    if folder is None:
        return None
    if parameters["random_state"] is None:
        raise ValueError(
            f"checkpoint_dir={folder!r} with random_state=None: the same call would draw another seed "
            "and could not go on from a checkpoint, give random_state a number"
        )
    return Checkpoints(folder, parameters["checkpoint_minutes"], telling(plan))


@contextmanager
def _named(argument: str) -> Iterator[None]:
    """Name the argument in what a modality says of samples that do not fit those it has learned from."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{argument} does not fit X: {error}") from error


@contextmanager
def out_of_memory_explained() -> Iterator[None]:
    """Raise a MemoryError that says what to lower where training runs out of memory."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        free(error)
        raise MemoryError(
            "training does not fit into memory: lower batch_size ('auto' is up to 256) or chunk_size (with it the "
            "encoder takes a batch in pieces), set precision='bfloat16', "
            f"make fewer views, or choose a smaller encoder ({error})"
        ) from error
