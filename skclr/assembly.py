"""From names and dictionaries to parts: every choice that the user left open is made here."""

from __future__ import annotations

import copy
import inspect
import math
import os
import re
import reprlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping
from torch import Tensor

from skclr.arguments import check_types
from skclr.encoders import ENCODERS, Encoder, Preprocessed, Reading
from skclr.files.plain import as_python
from skclr.frameworks import FRAMEWORKS, Framework, Recipe
from skclr.hints import REGISTRIES, hint, nearest_name
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, Aligned, Modality, infer_modality, stacked
from skclr.precision import multiplies_faster_in_bfloat16
from skclr.ranks.collectives import world
from skclr.training import (
    LR_SCHEDULES,
    OPTIMIZERS,
    Checkpoints,
    ContrastiveNet,
    HoldOut,
    ProgressLine,
    Samples,
    WarmupThen,
    check_alike,
    described,
    is_callback,
    is_out_of_memory,
    prepare_callbacks,
    preset_arguments,
    validation_size,
)
from skclr.views import VIEWS, CallableViews, Views, is_paired

DEFAULT_BATCH_SIZE = 256
# What `max_epochs="auto"` spends at most: of small data the modality's steps would be many more epochs.
AUTO_EPOCHS = 100
# Share of a run in which the learning rate grows.
AUTO_WARMUP = 0.05

AUTO_PATIENCE = 10

# What Python and torch say of operands of the wrong type.
_OPERANDS = re.compile(
    "not supported between|unsupported operand|must be real number|interpreted as an|invalid combination of arguments"
)
# Parameters without which a run is the same, or whose effect a checkpoint looks at itself.
_NOT_TELLING = (
    "checkpoint_dir",
    "checkpoint_minutes",
    "device",
    "on_interrupt",
    "random_state",
    "verbose",
    "warm_start",
)

# Packages whose parts declare the types that they take.
_DECLARING = ("skclr", "torch")

# For an optimiser that the framework has no recipe for.
_UNKNOWN_RECIPE = Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5)


# -- names ----------------------------------------------------------------------------------------


def look_up(argument: str, value: Any, registry: Mapping[str, Any]) -> Any:
    """Give what `value` names; what is no string is given back.

    Raises
    ------
    ValueError : for an unknown name; the message lists the known ones and suggests the nearest.
    """
    if not isinstance(value, str):
        return value
    if value in registry:
        return registry[value]
    near = nearest_name(value, registry)
    suggestion = f"did you mean {near!r}? " if near else ""
    raise ValueError(f"{argument}={value!r} is not known: {suggestion}known are {', '.join(map(repr, registry))}")


def build(argument: str, part: Callable[..., Any], params: dict[str, Any] | None, *given: Any, **preset: Any) -> Any:
    """Call the constructor of a part with its parameters.

    Parameters
    ----------
    argument : the estimator's parameter that named the part.
    part : class or factory.
    params : the user's `<argument>_params`.
    *given, **preset : what the estimator itself passes; `params` goes before `preset`.

    Raises
    ------
    ValueError : for a parameter that the part does not have (the message lists those it has), and for values of which
        torch can make nothing.
    """
    parameters, params, preset = inspect.signature(part).parameters, as_python(params or {}), as_python(preset)
    check_names(argument, part, params, given=tuple(parameters)[: len(given)])
    _check_complete(argument, part, {*tuple(parameters)[: len(given)], *preset, *params})
    if str(getattr(part, "__module__", "")).partition(".")[0] in _DECLARING:
        check_types(f"{argument}_params", part, params)
    with possible(f"{argument}_params={params}: {getattr(part, '__name__', repr(part))} cannot be made of them"):
        return part(*given, **{**preset, **params})


@contextmanager
def possible(fault: str) -> Iterator[None]:
    """Make a ValueError that begins with `fault` of what torch says of sizes and values with which it can do nothing.

    Parts of ours check the rest. Too little memory is another thing, and said elsewhere.
    """
    try:
        yield
    except (RuntimeError, ArithmeticError, LookupError, AttributeError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        raise ValueError(f"{fault} ({error})") from error
    except TypeError as error:
        # Parts of ours say what they take; Python and torch name operands, and none of the parameters.
        if not _OPERANDS.search(str(error)):
            raise
        raise TypeError(f"{fault}: a value has the wrong type") from error


def accepted_facts(part: Any, modality: Modality) -> dict[str, Any]:
    """Return the facts of the data that an encoder or a view maker declares in `facts` and its constructor accepts."""
    if not issubclass(part, Encoder | Views):
        return {}
    accepted = inspect.signature(part).parameters
    return {name: fact for name, fact in modality.facts().items() if name in part.facts and name in accepted}


def check_names(argument: str, part: Callable[..., Any], params: dict[str, Any], given: tuple[str, ...]) -> None:
    """Raise a ValueError for a parameter that a part does not have, or that is `given` to it anyway."""
    parameters = inspect.signature(part).parameters
    names = [name for name, p in parameters.items() if name not in given and p.kind is not p.VAR_KEYWORD]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in params if name in given or not (name in names or open_ended)]
    if unknown:
        name = getattr(part, "__name__", repr(part))
        remedy = hint(unknown[0], PARAMETERS, argument, names)
        raise ValueError(
            f"{argument}_params has {unknown[0]!r}, but {name} takes {', '.join(names) or 'nothing'} there"
            + (remedy and f": {remedy}")
        )


def _check_complete(argument: str, part: Callable[..., Any], known: set[str]) -> None:
    """Raise a ValueError for a parameter without default that is not `known`."""
    for name, parameter in inspect.signature(part).parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not variadic and name not in known:
            raise ValueError(
                f"{argument}={getattr(part, '__name__', repr(part))} needs {name!r}: "
                f"pass {argument}_params={{{name!r}: ...}}"
            )


def _is_auto(value: Any) -> bool:
    """Compare with "auto" only strings: arrays and modules have an idea of their own of ==."""
    return isinstance(value, str) and value == "auto"


def _is_instance(argument: str, part: Any, params: dict[str, Any] | None) -> bool:
    """Tell ready objects from classes; an object takes no more parameters."""
    if isinstance(part, type) or not callable(part):
        return False
    if params:
        raise ValueError(
            f"{argument}_params={params} came with an object as {argument}: set them on the object, "
            f"or give {argument} by name or class"
        )
    return True


# -- parts ----------------------------------------------------------------------------------------


def build_modality(X: Any, modality: Any, params: dict[str, Any] | None) -> Modality:
    """Choose and make the reader of X."""
    if _is_auto(modality):
        modality = infer_modality(X, params or {})
    return build("modality", look_up("modality", modality, MODALITIES), params)


def build_samples(sides: list[Any], modality: Modality, device: torch.device, groups: Tensor | None = None) -> Samples:
    """Make the data path of what a modality has read.

    Parameters
    ----------
    sides : the rows of X; of each of its views where it holds several.
    modality : that has read them.
    device, groups : as for `Samples`.
    """
    if len(sides) == 1:
        return Samples(sides[0], modality.to_tensor, device, groups)
    return Samples(Aligned(sides), stacked(modality.to_tensor), device, groups)


def build_views(views: Any, params: dict[str, Any] | None, modality: Modality, *, given: bool) -> Views:
    """Make the view maker; a plain callable is called once per view.

    Parameters
    ----------
    views, params : as the user set them.
    modality : gives the default.
    given : whether X holds several views of each sample, so that none are made.
    """
    part = look_up("views", ("paired" if given else modality.views) if _is_auto(views) else views, VIEWS)
    if given and not is_paired(part):
        raise ValueError(
            f"X holds several views of each sample, which views={views!r} would not use: set views='paired', and "
            "what should change them once more with views_params={'on_top': ...}"
        )
    if isinstance(part, Views):
        _is_instance("views", part, params)
        maker = copy.deepcopy(part)
        _fill_in(maker, modality)
        return maker
    if not isinstance(part, type):
        return build("views", CallableViews, params, part)
    maker = build("views", part, copy.deepcopy(params), **accepted_facts(part, modality))
    for held in _held_by(maker):
        _fill_in(held, modality)
    return maker


def _fill_in(maker: Views, modality: Modality) -> None:
    """Fill in the facts of the data that a ready view maker, or one that it holds, has left at their default."""
    parameters = inspect.signature(type(maker)).parameters
    for name, fact in accepted_facts(type(maker), modality).items():
        default, value = parameters[name].default, getattr(maker, name, None)
        if type(value) is type(default) and value == default:
            setattr(maker, name, fact)
    for held in _held_by(maker):
        _fill_in(held, modality)


def _held_by(maker: Views) -> list[Views]:
    return [held for held in vars(maker).values() if isinstance(held, Views)]


def build_encoder(encoder: Any, params: dict[str, Any] | None, modality: Modality) -> Preprocessed:
    """Make the encoder, with the modality's fixed preprocessing as its first layer."""
    part = find_encoder(encoder, modality)
    if isinstance(part, BaseEstimator):
        part = _fitted_encoder(part)
    if isinstance(part, Preprocessed):
        # One that was fitted before, with the preprocessing it was fitted with.
        _is_instance("encoder", part, params)
        return _carried_over(part, modality.example())
    preprocessing, example = modality.preprocessing(), modality.example()
    if _is_instance("encoder", part, params):
        network = copy.deepcopy(part)
    else:
        x = preprocessing(example)
        _check_samples(encoder, part, x)
        network = build("encoder", part, params, tuple(x.shape[1:]), **accepted_facts(part, modality))
    with possible(
        f"encoder={type(network).__name__} takes no samples of shape {tuple(example.shape[1:])}, as X was read"
    ):
        return Preprocessed(preprocessing, network, example)


def reading_of(encoder: Any) -> Reading | None:
    """Return how the samples of a fitted encoder were read, None where `encoder` is none such."""
    part = _fitted_encoder(encoder) if isinstance(encoder, BaseEstimator) else encoder
    # One that an earlier version has pickled does not know.
    return getattr(part, "reading", None) if isinstance(part, Preprocessed) else None


def _carried_over(fitted: Preprocessed, example: Tensor) -> Preprocessed:
    """Copy an encoder that was fitted before; a ValueError where samples are others now."""
    encoder = copy.deepcopy(fitted)
    if example.is_meta:
        return encoder
    training = encoder.training
    try:
        with torch.no_grad():
            encoder.eval()(example.to(next(encoder.parameters(), example).device))
    except (RuntimeError, ValueError, LookupError) as error:
        raise ValueError(
            f"encoder= was fitted on other samples than those of shape {tuple(example.shape[1:])} that X holds: give "
            f"the same columns, channels or size, or begin with a new encoder, encoder='auto' ({error})"
        ) from error
    return encoder.train(training)


def _check_samples(encoder: Any, part: Any, x: Tensor) -> None:
    """Raise a ValueError where an encoder of ours takes other samples than those of x (B, *shape)."""

    def takes(part: type[Encoder]) -> bool:
        return part.tokens != x.is_floating_point() and part.n_dims in (None, x.ndim - 1)

    if isinstance(part, type) and issubclass(part, Encoder) and not takes(part):
        what = "numbers" if x.is_floating_point() else "tokens"
        raise ValueError(
            f"encoder={encoder!r} takes no samples of shape {tuple(x.shape[1:])} of {what}, as X was read: choose one "
            f"of {', '.join(name for name, other in ENCODERS.items() if takes(other))}, or set modality"
        )


def find_encoder(encoder: Any, modality: Modality) -> Any:
    """Give the class that a name means, or the object that was given."""
    return look_up("encoder", modality.encoder if _is_auto(encoder) else encoder, ENCODERS)


def _fitted_encoder(embedder: BaseEstimator) -> Preprocessed:
    try:
        check_is_fitted(embedder)
    except NotFittedError as error:
        raise ValueError(
            f"encoder={type(embedder).__name__}(...) has not been fitted: fit it first. Where it was, a clone "
            "forgot it, as in a search: give its encoder_ instead"
        ) from error
    fitted: Preprocessed = embedder.encoder_
    return fitted


def build_learner(settings: Any, modality: Modality) -> Framework:
    """Make the encoder and the framework around it, untrained.

    Parameters
    ----------
    settings : the estimator, or anything with its parameters.
    modality : has read the data.
    """
    encoder = build_encoder(settings.encoder, settings.encoder_params, modality)
    encoder.freeze(settings.freeze)
    return build_framework(
        settings.framework,
        settings.framework_params,
        encoder,
        settings.loss,
        settings.loss_params,
        settings.projection_dim,
    )


def check_settled(settings: Any, then: Mapping[str, Any], modality: Modality) -> None:
    """Raise a ValueError where a fit that goes on would ignore a parameter: it reads and builds as the first one did.

    Parameters
    ----------
    settings : the estimator as it is now.
    then : its parameters at the last fit.
    modality : that has read the data.
    """
    meant: dict[str, Callable[[Any], Any]] = {
        "modality": lambda v: type(modality) if _is_auto(v) else look_up("modality", v, MODALITIES),
        "encoder": lambda v: find_encoder(v, modality),
        "modality_params": lambda v: v or {},
        "encoder_params": lambda v: v or {},
    }
    for name, meaning in meant.items():
        now = getattr(settings, name)
        if not _equal(meaning(now), meaning(then[name])):
            raise ValueError(
                f"{name}={_shown(now)} differs from {_shown(then[name])} of the last fit, which this one continues: "
                "set it back, or use fit with warm_start=False"
            )


def _equal(one: Any, other: Any) -> bool:
    """Compare parameters; objects that cannot be compared are equal to themselves alone."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple | np.ndarray) and isinstance(other, list | tuple | np.ndarray):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one is other or (not callable(one) and bool(one == other))


def _shown(value: Any) -> str:
    return reprlib.repr(value) if isinstance(value, str | Mapping | type(None)) else type(value).__name__


def check_freeze(settings: Any, modality: Modality) -> None:
    """Warn where what is to be frozen has learned nothing: its weights come from the random generator alone."""
    part, params = find_encoder(settings.encoder, modality), settings.encoder_params or {}
    if settings.freeze in ("none", 0) or not (isinstance(part, type) and issubclass(part, Encoder)):
        return
    # It says of itself where weights come from elsewhere, and raises where it cannot be made without.
    with suppress(ValueError):
        if part.without_fetching(params) == params:
            warnings.warn(
                f"freeze={settings.freeze!r} keeps layers as they were drawn at random: give a fitted embedder or a "
                "pretrained module as encoder=, or set freeze='none'",
                UserWarning,
                stacklevel=2,
            )


def build_framework(
    framework: Any,
    params: dict[str, Any] | None,
    encoder: Encoder,
    loss: Any,
    loss_params: dict[str, Any] | None,
    projection_dim: Any,
) -> Framework:
    """Make the framework around an encoder, with the loss where it takes one."""
    part: type[Framework] = look_up("framework", framework, FRAMEWORKS)
    preset: dict[str, Any] = {} if projection_dim == "auto" else {"projection_dim": projection_dim}
    # At "auto" the framework's own default serves, which has the paper's temperature too.
    if not _is_auto(loss) or loss_params:
        preset["loss"] = _build_loss(framework, part, loss, loss_params)
    return build("framework", part, params, encoder, **preset)


def _build_loss(name: Any, framework: type[Framework], loss: Any, params: dict[str, Any] | None) -> Any:
    if framework.default_loss is None:
        takers = [other for other, part in FRAMEWORKS.items() if part.default_loss is not None]
        raise ValueError(
            f"loss={loss!r} with framework={name!r}: {framework.__name__} has an objective of its own, set "
            f"loss='auto' and its parameters by framework_params; a loss can be chosen for {', '.join(takers)}"
        )
    objective = look_up("loss", framework.default_loss if _is_auto(loss) else loss, LOSSES)
    # One of the user's own may be a module, which training writes to.
    return copy.deepcopy(objective) if _is_instance("loss", objective, params) else build("loss", objective, params)


# -- training -------------------------------------------------------------------------------------


def plan_training(
    settings: Any, framework: Framework, n_samples: int, device: torch.device, *, n_steps: int, endless: bool
) -> dict[str, Any]:
    """Settle what of training was left at "auto".

    Parameters
    ----------
    settings : the estimator, or anything with its training parameters.
    framework : whose recipes fill the gaps.
    n_samples, device : of the data.
    n_steps : that max_epochs="auto" spends.
    endless : whether this is one piece of a stream.

    Returns
    -------
    Parameters of a `ContrastiveNet`.
    """
    share = 0.0 if endless else choose_validation(settings.validation_fraction, settings.early_stopping)
    n_train = n_samples - validation_size(n_samples, share) if share else n_samples
    batch_size = choose_batch_size(settings.batch_size, n_train)
    max_epochs = 1 if endless else choose_epochs(settings.max_epochs, n_train // batch_size, n_steps)
    optimizer, recipe = choose_optimizer(framework, settings.optimizer)
    params = {**preset_arguments(optimizer, device), **as_python(settings.optimizer_params or {})}
    check_names("optimizer", optimizer, params, given=("params", "lr", "weight_decay", "differentiable"))
    check_types("optimizer_params", optimizer, params)
    rate, decay = settings.learning_rate, settings.weight_decay
    return {
        "optimizer": optimizer,
        "lr": recipe.at(batch_size) if rate == "auto" else rate,
        "weight_decay": recipe.weight_decay if decay == "auto" else decay,
        **{f"optimizer__{name}": value for name, value in params.items()},
        "batch_size": batch_size,
        "chunk_size": settings.chunk_size,
        "max_epochs": max_epochs,
        "endless": endless,
        "schedule": choose_schedule(settings.lr_schedule, settings.warmup_epochs, max_epochs),
        "validation_fraction": share,
        "autocast": choose_precision(settings.precision, device),
        "device": str(device),
        "compile": settings.compile,
        "on_interrupt": settings.on_interrupt,
        "callbacks": choose_callbacks(settings, validates=share > 0, endless=endless),
    }


def build_net(
    settings: Any,
    framework: Framework,
    modality: Modality,
    n_samples: int,
    device: torch.device,
    *,
    given: bool,
    endless: bool,
    seed: int,
) -> ContrastiveNet:
    """Make the net, ready to train; parameters as for `plan_training` and `build_views`."""
    views = build_views(settings.views, settings.views_params, modality, given=given)
    plan = plan_training(settings, framework, n_samples, device, n_steps=modality.n_steps, endless=endless)
    share = plan.pop("validation_fraction")
    plan["train_split"] = HoldOut(share, seed) if share else None
    _check_net_params(settings)
    net = build("net", ContrastiveNet, settings.net_params, framework, view_maker=views, seed=seed, verbose=0, **plan)
    given_params = f"optimizer_params={settings.optimizer_params}, net_params={settings.net_params}"
    with possible(f"{given_params}: no net can be made of them"):
        return net.initialize()


# Parameters of skorch's net, and the estimator's that set them; None where they could not act.
_NET_PARAMETERS = {
    "module": "framework",
    "criterion": "loss",
    "optimizer": "optimizer",
    "lr": "learning_rate",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "train_split": "validation_fraction",
    "callbacks": "callbacks",
    "warm_start": "warm_start",
    "verbose": "verbose",
    "device": "device",
    "compile": "compile",
    "view_maker": "views",
    "schedule": "lr_schedule",
    "weight_decay": "weight_decay",
    "autocast": "precision",
    "seed": "random_state",
    "chunk_size": "chunk_size",
    "on_interrupt": "on_interrupt",
    "iterator_train": None,
    "iterator_valid": None,
    "dataset": None,
    "endless": None,
    "predict_nonlinearity": None,
    "use_caching": None,
}


def _check_net_params(settings: Any) -> None:
    """Raise a ValueError for a parameter of the net that the estimator sets itself, or that would do nothing."""
    for name in settings.net_params or {}:
        stem, _, entry = name.partition("__")
        fault = f"net_params has {name!r}"
        if stem == "compile" and entry:
            if not settings.compile:
                raise ValueError(f"{fault}, which acts with compile=True only")
        elif name == "torch_load_kwargs":
            if not settings.callbacks:
                raise ValueError(
                    f"{fault}, which acts only beside a callback that loads weights, such as LoadInitState"
                )
        elif stem not in _NET_PARAMETERS:
            remedy = hint(name, PARAMETERS) or "it takes torch_load_kwargs, and with compile=True compile__*"
            raise ValueError(f"{fault}, which the net does not take: {remedy}")
        elif (owner := _NET_PARAMETERS[stem]) is None:
            raise ValueError(f"{fault}, which cannot act here: the embedder reads and batches X itself, remove it")
        elif entry and f"{owner}_params" in PARAMETERS:
            raise ValueError(f"{fault}, which the embedder sets: use {owner}_params={{{entry!r}: ...}}")
        else:
            raise ValueError(f"{fault}, which the embedder sets: use its parameter {owner}")


def choose_validation(fraction: Any, early_stopping: bool | int) -> float:
    """Give the share of the samples that is kept back."""
    if fraction == "auto":
        return 0.1 if early_stopping else 0.0
    if early_stopping and not fraction:
        raise ValueError(
            f"early_stopping={early_stopping!r} with validation_fraction={fraction!r} has nothing to measure: "
            "give a share above 0, or 'auto'"
        )
    return float(fraction)


def choose_batch_size(batch_size: Any, n_samples: int) -> int:
    """Give the samples a step, over all ranks; a batch larger than the data is all of them."""
    size = min(DEFAULT_BATCH_SIZE if batch_size == "auto" else int(batch_size), n_samples)
    if (batch_size != "auto" and batch_size % world.size) or size < world.size:
        raise ValueError(
            f"batch_size={batch_size} of {n_samples} samples cannot be shared out among {world.size} ranks: give a "
            "multiple of their number and as many samples at least, or start fewer"
        )
    if batch_size != "auto" and batch_size > n_samples:
        warnings.warn(
            f"batch_size={batch_size} is larger than the {n_samples} samples to train on: "
            "each step takes all of them as one batch",
            UserWarning,
            stacklevel=2,
        )
    return size - size % world.size


def choose_epochs(max_epochs: Any, steps_an_epoch: int, n_steps: int) -> int:
    """Give the number of epochs; "auto" spends a budget of steps, so that small data get many."""
    if max_epochs == "auto":
        return min(AUTO_EPOCHS, math.ceil(n_steps / steps_an_epoch))
    return int(max_epochs)


def choose_optimizer(framework: Framework, optimizer: Any) -> tuple[type[torch.optim.Optimizer], Recipe]:
    """Return the optimiser's class and the framework's recipe for it, or for the class that it derives from."""
    recipes = {OPTIMIZERS[name]: recipe for name, recipe in framework.recipes.items()}
    part = next(iter(recipes)) if _is_auto(optimizer) else look_up("optimizer", optimizer, OPTIMIZERS)
    return part, next((recipes[base] for base in part.__mro__ if base in recipes), _UNKNOWN_RECIPE)


def choose_schedule(lr_schedule: Any, warmup_epochs: Any, max_epochs: int) -> WarmupThen:
    """Make the schedule of the learning rate from its name, or from a callable of progress."""
    warmup = AUTO_WARMUP * max_epochs if warmup_epochs == "auto" else warmup_epochs
    decay = look_up("lr_schedule", lr_schedule, LR_SCHEDULES)
    try:
        factors = [decay(progress) for progress in (0.0, 0.5)]
    except Exception as error:
        raise ValueError(
            f"lr_schedule={lr_schedule!r} takes no progress: pass a function from progress in [0, 1) to a factor "
            f"of the learning rate ({error})"
        ) from error
    if not all(_number(0)(as_python(factor)) for factor in factors):
        raise ValueError(
            f"lr_schedule={lr_schedule!r} returns {factors[0]!r}: return a factor of the learning rate, 0 or more"
        )
    return WarmupThen(decay, warmup, max_epochs)


def choose_callbacks(settings: Any, *, validates: bool, endless: bool) -> list[Any]:
    """Put together the user's callbacks and our own."""
    chosen: list[Any] = prepare_callbacks(settings.callbacks or [], validates=validates)
    if settings.verbose and world.rank == 0:
        chosen.append(ProgressLine())
    if settings.early_stopping:
        patience = AUTO_PATIENCE if settings.early_stopping is True else settings.early_stopping
        # The loss may be negative, where a relative threshold has no meaning.
        chosen.append(EarlyStopping(patience=patience, threshold_mode="abs", load_best=True))
    if settings.checkpoint_dir is not None and not endless:
        chosen.append(_checkpoints(settings))
    return chosen


def _checkpoints(settings: Any) -> Checkpoints:
    if settings.random_state is None:
        raise ValueError(
            f"checkpoint_dir={settings.checkpoint_dir!r} with random_state=None: the same call would draw another seed "
            "and could not go on from a checkpoint, give random_state a number"
        )
    return Checkpoints(settings.checkpoint_dir, settings.checkpoint_minutes, _telling(settings))


def _telling(settings: Any) -> dict[str, Any]:
    """Give the parameters that make a run what it is."""
    # Names with an underscore at either end are no parameters.
    return {n: v for n, v in vars(settings).items() if n == n.strip("_") and n not in _NOT_TELLING}


def check_ranks_alike(settings: Any) -> None:
    """Raise a ValueError where an embedder has other parameters on another rank; a logger may be of one rank alone."""
    alike = {name: value for name, value in _telling(settings).items() if name not in ("callbacks", "net_params")}
    check_alike(described(alike))


def choose_device(device: Any) -> torch.device:
    """Give the device; "auto" takes CUDA, then MPS, then the CPU."""
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    available = {"cuda": n_gpus > 0, "mps": torch.backends.mps.is_available(), "cpu": True}
    if hasattr(torch, "xpu"):
        available["xpu"] = torch.xpu.is_available()
    if _is_auto(device):
        return torch.device(next(kind for kind, there in available.items() if there))
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is no device: give 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'") from error
    if chosen.type not in available:
        raise ValueError(f"device={device!r} cannot train: use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'")
    if not available[chosen.type] or (chosen.type == "cuda" and (chosen.index or 0) >= n_gpus):
        raise ValueError(
            f"device={device!r} is not available: use device='auto' or 'cpu' (torch sees {n_gpus} CUDA devices "
            f"and counts them from 0, with CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')!r})"
        )
    return chosen


def device_or_cpu(device: Any) -> torch.device:
    """Give the device for a model that was trained elsewhere: where this machine has none such, the CPU, and warn."""
    try:
        return choose_device(device)
    except ValueError as error:
        warnings.warn(f"{error}; the model is on the CPU", UserWarning, stacklevel=2)
        return torch.device("cpu")


def choose_precision(precision: str, device: torch.device) -> torch.dtype | None:
    """Give the dtype for autocast, None for float32; "auto" is bfloat16 where that is faster."""
    if precision == "auto":
        return torch.bfloat16 if multiplies_faster_in_bfloat16(device) else None
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


# -- checks ---------------------------------------------------------------------------------------


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= least


def _number(least: float, below: float = math.inf) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, Real) and not isinstance(v, bool) and least <= float(v) < below


def _above(bound: float) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, Real) and not isinstance(v, bool) and bound < float(v) < math.inf


def _seed(v: Any) -> bool:
    return _whole(0)(v) and int(v) < 2**32


def _one_of(*values: Any) -> Callable[[Any], bool]:
    return lambda v: any(v is value or (isinstance(v, str) and v == value) for value in values)


def _auto_or(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda v: (isinstance(v, str) and v == "auto") or check(v)


def _name_or(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, str) or check(v)


def _class_of(base: type) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, type) and issubclass(v, base)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "framework": (_name_or(_class_of(Framework)), "a name in skclr.frameworks.FRAMEWORKS, or a class of that kind"),
    "loss": (_name_or(callable), "'auto', a name in skclr.losses.LOSSES, a class or a function"),
    "encoder": (
        _name_or(lambda v: callable(v) or isinstance(v, BaseEstimator)),
        "'auto', a name in skclr.encoders.ENCODERS, a class, a torch.nn.Module or a fitted embedder",
    ),
    "views": (_name_or(callable), "'auto', a name in skclr.views.VIEWS, a class or a function"),
    "modality": (
        _name_or(_class_of(Modality)),
        "'auto', a name in skclr.modalities.MODALITIES, or a class of that kind",
    ),
    "optimizer": (_name_or(_class_of(torch.optim.Optimizer)), "'auto', 'adamw', 'sgd', 'lars' or a class of torch's"),
    "lr_schedule": (_name_or(callable), "'cosine', 'linear', 'constant' or a function of progress"),
    "freeze": (
        lambda v: _one_of("none", "all")(v) or _whole(0)(v),
        "'none', 'all' or the number of first layers to leave as they are",
    ),
    "positives": (_one_of("views", "labels"), "'views' or 'labels'"),
    "projection_dim": (_auto_or(_whole(1)), "'auto' or a whole number of 1 or more"),
    "max_epochs": (
        _auto_or(_whole(0)),
        "'auto' or a whole number of 0 or more (0 leaves the encoder untrained)",
    ),
    "batch_size": (
        _auto_or(_whole(2)),
        "'auto' or a whole number of 2 or more (one sample has nothing to contrast with)",
    ),
    "chunk_size": (lambda v: v is None or _whole(1)(v), "None or a whole number of 1 or more"),
    "learning_rate": (_auto_or(_above(0)), "'auto' or a number above 0"),
    "weight_decay": (_auto_or(_number(0)), "'auto' or a number of 0 or more"),
    "warmup_epochs": (_auto_or(_number(0)), "'auto' or a number of epochs of 0 or more"),
    "precision": (
        _one_of("auto", "float32", "bfloat16", "float16"),
        "'auto', 'float32', 'bfloat16' or 'float16'",
    ),
    "compile": (_one_of(True, False), "True or False"),
    "validation_fraction": (
        _auto_or(_number(0, below=1)),
        "'auto' or a share from 0 up to but not including 1",
    ),
    "early_stopping": (
        lambda v: isinstance(v, bool) or _whole(1)(v),
        "True, False or the number of epochs to wait",
    ),
    "callbacks": (
        lambda v: v is None or (isinstance(v, list | tuple) and all(map(is_callback, v))),
        "None or a list of skorch callbacks, each alone or as (name, callback)",
    ),
    "passthrough": (_auto_or(_one_of(True, False)), "'auto', True or False"),
    "random_state": (
        lambda v: v is None or v is np.random or isinstance(v, np.random.RandomState) or _seed(v),
        "None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState",
    ),
    "verbose": (lambda v: isinstance(v, bool | np.bool_) or _whole(0)(v), "a whole number of 0 or more"),
    "warm_start": (_one_of(True, False), "True or False"),
    "checkpoint_dir": (
        lambda v: v is None or (isinstance(v, str | os.PathLike) and os.fspath(v) != ""),
        "a folder ('.' is the working directory), or None",
    ),
    "checkpoint_minutes": (_number(0), "minutes of 0 or more (0 writes a checkpoint after every step)"),
    "on_interrupt": (_one_of("raise", "keep"), "'raise' or 'keep'"),
}


# All that the estimator takes.
PARAMETERS = (*_CHECKS, *(f"{part}_params" for part in (*REGISTRIES, "net")), "device", "random_state", "verbose")


def check_parameters(params: Mapping[str, Any]) -> None:
    """Hold the estimator's plain parameters against what they may be.

    Raises
    ------
    ValueError : names the parameter, its value and what to give instead.
    """
    for name, (valid, remedy) in _CHECKS.items():
        if not valid(as_python(params[name])):
            raise ValueError(f"{name}={params[name]!r}: give {remedy}")
    for name, value in params.items():
        if name.endswith("_params") and value is not None and not isinstance(value, Mapping):
            raise ValueError(f"{name}={value!r}: give a dictionary of parameters, or None")
