"""Building the parts of a plan; nothing is chosen here."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import EarlyStopping
from torch import Tensor

from skclr.encoders import Preprocessed
from skclr.frameworks import Framework
from skclr.hints import hint
from skclr.modalities import Aligned, Modality, map_views, stack_views
from skclr.parameters import PARAMETERS
from skclr.part_choices import accepted_facts, choose_modality, plan_modality, reading_of
from skclr.plan import Part, Plan, same
from skclr.randomness import LocalGenerators
from skclr.ranks.collectives import world
from skclr.training import (
    Checkpoints,
    ContrastiveNet,
    ProgressLine,
    SampleTensors,
    is_out_of_memory,
    prepare_callbacks,
)
from skclr.views import Views

# Phrases of Python's and torch's errors about operands of the wrong type.
_OPERANDS = re.compile(
    "not supported between|unsupported operand|must be real number|interpreted as an|invalid combination of arguments"
)


def build_part(argument: str, part: Part, *given: Any, facts: Mapping[str, Any] = {}) -> Any:
    """Build a part.

    Parameters
    ----------
    argument : parameter of the estimator that chose the part.
    part : planned part.
    *given : the first arguments.
    facts : facts about the data.

    Raises
    ------
    ValueError : for values that torch cannot use.
    """
    if part.instance is not None:
        return copy.deepcopy(part.instance)
    with torch_errors_as_value_error(f"{argument}_params={part.changed()}: {part.name} cannot be built with them"):
        return part.make(*given, **part.arguments, **{name: facts[name] for name in part.facts})


@contextmanager
def torch_errors_as_value_error(fault: str) -> Iterator[None]:
    """Re-raise torch's errors about sizes and values as ValueErrors that begin with `fault`.

    The package's parts check everything else. Out-of-memory errors pass through.
    """
    try:
        yield
    except (RuntimeError, ArithmeticError, LookupError, AttributeError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        raise ValueError(f"{fault} ({error})") from error
    except TypeError as error:
        # The package's own messages name the parameter; those of Python and torch only name operands.
        if not _OPERANDS.search(str(error)):
            raise
        raise TypeError(f"{fault}: a value has the wrong type") from error


# -- data and views -------------------------------------------------------------------------------


def build_modality(X: Any, modality: Any, params: Mapping[str, Any] | None) -> Modality:
    """Build the modality from the estimator's parameters; everything else is planned after it has read X."""
    built: Modality = build_part("modality", plan_modality(X, modality, params))
    return built


def read_training_rows(modality: Modality, X: Any, estimator: BaseEstimator, encoder: Any) -> Any:
    """Return the rows of X, from which the modality learns; a fitted encoder keeps the reading of its samples.

    Parameters
    ----------
    modality, X, estimator : as for `Modality.read`.
    encoder : the estimator's parameter.
    """
    reading = reading_of(encoder)
    if reading is None or not isinstance(reading.modality, type(modality)):
        return modality.read(X, estimator, reset=True)
    return modality.read_as(X, estimator, reading.modality, reading.names)


def check_read_alike(modality: Any, params: Mapping[str, Any] | None, learned: Modality) -> None:
    """Raise a ValueError if the parameters request another reading of X than that of a fitted encoder.

    Parameters
    ----------
    modality, params : the estimator's parameters; open ones are as in the fit of the encoder.
    learned : modality that read the training data of the encoder.
    """
    asked = build_part("modality", choose_modality(modality, params, learned)[0])
    before, now = learned.settings(), asked.settings()
    if type(asked) is not learned.kind or any(not same(now[name], before[name]) for name in params or {}):
        raise ValueError(
            f"modality={modality!r} with modality_params={params} reads X differently than in the fit of encoder=. "
            "Leave both out, or use a new encoder, encoder='auto'."
        )


def build_samples(
    sides: list[Any], modality: Modality, device: torch.device, groups: Tensor | None = None
) -> SampleTensors:
    """Build samples from the rows that a modality has read.

    Parameters
    ----------
    sides : rows of each view in X: one, unless X holds several views of each sample.
    modality : modality that has read them.
    device, groups : as for `SampleTensors`.
    """
    if len(sides) == 1:
        return SampleTensors(sides[0], modality.to_tensor, device, groups, prepare=modality.prepare)
    to_tensor, prepare = stack_views(modality.to_tensor), map_views(modality.prepare)
    return SampleTensors(Aligned(sides), to_tensor, device, groups, prepare=prepare)


def build_views(part: Part, modality: Modality) -> Views:
    """Build the view maker, and pass to it and its inner view makers the facts about the data that they request."""
    ready = part.instance is not None
    # A copy, so that the user's arguments are not modified.
    part = Part(part.make, copy.deepcopy(dict(part.arguments)), part.facts, part.instance)
    maker: Views = build_part("views", part, facts=accepted_facts(part.make, modality))
    for each in [maker] if ready else _held_by(maker):
        _fill_in(each, modality)
    return maker


def _fill_in(maker: Views, modality: Modality) -> None:
    """Set the facts about the data that a view maker object, or an inner one, has left at their default."""
    parameters = inspect.signature(type(maker)).parameters
    for name, fact in accepted_facts(type(maker), modality).items():
        default, value = parameters[name].default, getattr(maker, name, None)
        if type(value) is type(default) and value == default:
            setattr(maker, name, fact)
    for held in _held_by(maker):
        _fill_in(held, modality)


def _held_by(maker: Views) -> list[Views]:
    return [held for held in vars(maker).values() if isinstance(held, Views)]


# -- the network ----------------------------------------------------------------------------------


def build_encoder(part: Part, modality: Modality) -> Preprocessed:
    """Build the encoder, with the modality's fixed preprocessing as its first layer."""
    if isinstance(part.instance, Preprocessed):
        # A fitted encoder keeps its preprocessing.
        return _copy_fitted(part.instance, modality.example())
    preprocessing, example = modality.preprocessing(), modality.example()
    given = [] if part.instance is not None else [tuple(preprocessing(example).shape[1:])]
    network = build_part("encoder", part, *given, facts=accepted_facts(part.make, modality))
    with torch_errors_as_value_error(
        f"encoder={type(network).__name__} does not accept the samples of X, of shape {tuple(example.shape[1:])}"
    ):
        return Preprocessed(preprocessing, network, example)


def _copy_fitted(fitted: Preprocessed, example: Tensor) -> Preprocessed:
    """Return a copy of a fitted encoder; raise a ValueError if it does not accept the samples."""
    encoder = copy.deepcopy(fitted)
    if example.is_meta:
        return encoder
    training = encoder.training
    try:
        with torch.no_grad():
            encoder.eval()(example.to(next(encoder.parameters(), example).device))
    except (RuntimeError, ValueError, LookupError) as error:
        raise ValueError(
            f"encoder= was not fitted on samples of shape {tuple(example.shape[1:])}, as in X ({error}). Pass the same "
            "columns, channels or size, or use a new encoder, encoder='auto'."
        ) from error
    return encoder.train(training)


def build_framework(
    framework: Part, encoder: Part, loss: Part | None, freeze: int | str, modality: Modality
) -> Framework:
    """Build the untrained framework around an encoder, whose first layers are frozen as in `freeze`."""
    network = build_encoder(encoder, modality)
    network.freeze(freeze)
    arguments = dict(framework.arguments)
    if loss is not None:
        arguments["loss"] = build_part("loss", loss)
    built: Framework = build_part("framework", Part(framework.make, arguments), network)
    return built


# -- training -------------------------------------------------------------------------------------


def build_net(
    plan: Plan, framework: Framework, modality: Modality, *, verbose: int = 0, checkpoints: Checkpoints | None = None
) -> ContrastiveNet:
    """Build the net, ready for training.

    Parameters
    ----------
    plan : plan of the fit.
    framework : framework of the plan.
    modality : modality that has read the data.
    verbose : 1 or more shows the progress line.
    checkpoints : saves the run; None saves nothing.

    Raises
    ------
    ValueError : for callbacks and parameters of the net that would have no effect.
    """
    views = build_views(plan.views, modality)
    callbacks: list[Any] = []
    if plan.callbacks:
        callbacks += prepare_callbacks(plan.callbacks, validates=plan.validation_fraction > 0)
    if verbose and world.rank == 0:
        callbacks.append(ProgressLine())
    if plan.early_stopping:
        # The loss may be negative, so a relative threshold has no meaning.
        callbacks.append(EarlyStopping(patience=plan.early_stopping, threshold_mode="abs", load_best=True))
    if checkpoints is not None:
        callbacks.append(checkpoints)
    _check_net_params(plan)
    fault = f"optimizer_params={dict(plan.optimizer.arguments)}, net_params={plan.net_params}"
    with torch_errors_as_value_error(f"{fault}: the net cannot be built with them"):
        return ContrastiveNet(framework, plan, views, callbacks=callbacks, **plan.net_params).initialize()


def build_untrained(plan: Plan, modality: Modality, **settings: Any) -> ContrastiveNet:
    """Build the net with the initial weights of a plan.

    Parameters
    ----------
    plan, modality, **settings : as for `build_net`.

    Raises
    ------
    ValueError : as for `build_net`.
    """
    with LocalGenerators(plan.random_state):
        framework = build_framework(plan.framework, plan.encoder, plan.loss, plan.freeze, modality)
    return build_net(plan, framework, modality, **settings)


# -- parameters of the net ------------------------------------------------------------------------

# Names in the estimator of the net's other parameters; None if they would have no effect.
_NET_PARAMETERS = {
    "module": "framework",
    "criterion": "loss",
    "lr": "learning_rate",
    "train_split": "validation_fraction",
    "view_maker": "views",
    "schedule": "lr_schedule",
    "autocast": "precision",
    "seed": "random_state",
    **dict.fromkeys(
        ["iterator_train", "iterator_valid", "dataset", "plan", "endless", "predict_nonlinearity", "use_caching"]
    ),
}


def _check_net_params(plan: Plan) -> None:
    """Raise a ValueError for a parameter of the net that the estimator sets itself, or that would have no effect."""
    for name in plan.net_params:
        stem, _, entry = name.partition("__")
        fault = f"net_params has {name!r}"
        if stem == "compile" and entry:
            if not plan.compile:
                raise ValueError(f"{fault}, which has no effect. Set compile=True.")
        elif name == "torch_load_kwargs":
            if not plan.callbacks:
                raise ValueError(
                    f"{fault}, which has no effect. Add a callback that loads weights, such as LoadInitState."
                )
        elif stem not in {*PARAMETERS, *_NET_PARAMETERS}:
            remedy = hint(name, PARAMETERS) or "pass torch_load_kwargs or, with compile=True, compile__*"
            raise ValueError(f"{fault}, which is unknown: {remedy}")
        elif (owner := _NET_PARAMETERS.get(stem, stem)) is None:
            raise ValueError(f"{fault}, but the embedder reads and batches X itself. Remove it.")
        elif entry and f"{owner}_params" in PARAMETERS:
            raise ValueError(f"{fault}, which the embedder sets. Use {owner}_params={{{entry!r}: ...}}.")
        else:
            raise ValueError(f"{fault}, which the embedder sets. Use its parameter {owner}.")
