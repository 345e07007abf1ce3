"""Planning of a fit: from the estimator's parameters to a plan, with a default for every open choice."""

from __future__ import annotations

import math
import os
import reprlib
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

import torch

from skclr.encoders import Encoder, Preprocessed
from skclr.files.plain import as_python
from skclr.frameworks import Framework, Recipe
from skclr.modalities import Modality
from skclr.parameters import PARAMETERS, check_arguments, look_up
from skclr.part_choices import Choice, choose_encoder, choose_modality, choose_network, choose_views, is_auto, name_of
from skclr.plan import Part, Plan, shown
from skclr.precision import multiplies_faster_in_bfloat16
from skclr.ranks.collectives import world
from skclr.training import LR_SCHEDULES, OPTIMIZERS, check_same_on_ranks, preset_arguments, validation_size

# Share of a run in which the learning rate grows.
AUTO_WARMUP = 0.05
AUTO_VALIDATION = 0.1
AUTO_PATIENCE = 10

# For optimisers without a recipe of the framework.
_UNKNOWN_RECIPE = Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5)


def plan_fit(
    parameters: Mapping[str, Any],
    modality: Modality,
    n_samples: int,
    device: torch.device,
    *,
    seed: int,
    given: bool = False,
    endless: bool = False,
) -> Plan:
    """Return the plan of a fit, with every choice made.

    Parameters
    ----------
    parameters : parameters of the estimator, by name.
    modality : modality that has read the data.
    n_samples, device : number of samples, and device of training.
    seed : seed drawn from `random_state`.
    given : whether X holds several views of each sample, so that none are made.
    endless : whether this is one part of a stream.

    Raises
    ------
    ValueError : if parameters do not fit together, or do not fit the data.
    """
    p = as_python(dict(parameters))
    network = choose_network(p, modality)
    framework: type[Framework] = network["framework"][0].make
    fraction = (0.0, "") if endless else choose_validation(p["validation_fraction"], p["early_stopping"])
    n_train = n_samples - validation_size(n_samples, fraction[0]) if fraction[0] else n_samples
    # A part of a stream says nothing about the length of the stream.
    usual_size = modality.batch_size if endless else auto_batch_size(n_train, modality)
    batch_size = choose_batch_size(p["batch_size"], n_train, usual_size)
    encoder = network["encoder"][0]
    epochs = choose_epochs(p["max_epochs"], n_train, batch_size[0], modality, encoder, endless=endless)
    optimizer = choose_optimizer(framework, p["optimizer"], p["optimizer_params"], device)
    choices: dict[str, Choice] = {
        "modality": choose_modality(p["modality"], p["modality_params"], modality),
        **network,
        "views": choose_views(p["views"], p["views_params"], modality, given=given),
        "passthrough": _or_auto(p["passthrough"], modality.passthrough, f"the default for {name_of(modality)} data"),
        "batch_size": batch_size,
        "max_epochs": epochs,
        "optimizer": optimizer,
        **choose_rates(p["learning_rate"], p["weight_decay"], framework, optimizer[0].make, batch_size[0], encoder),
        "lr_schedule": (choose_schedule(p["lr_schedule"]), ""),
        "warmup_epochs": _or_auto(p["warmup_epochs"], AUTO_WARMUP * epochs[0], "a twentieth of the run"),
        "validation_fraction": fraction,
        "early_stopping": choose_patience(p["early_stopping"]),
        "precision": choose_precision(p["precision"], device),
        "device": (device, "the fastest of this machine" if is_auto(p["device"]) else ""),
        "callbacks": (tuple(p["callbacks"] or ()), ""),
        "net_params": (p["net_params"] or {}, ""),
        "random_state": choose_seed(p["random_state"], seed),
        "endless": (endless, "the end of partial_fit is unknown" if endless else ""),
    }
    # All other parameters are taken from the user unchanged.
    as_given = {name: p[name] for name in Plan.names() if name not in choices}
    sources = {name: source for name, (_, source) in choices.items() if source}
    return Plan(**as_given, **{name: value for name, (value, _) in choices.items()}, sources=sources)


# -- training -------------------------------------------------------------------------------------


def _or_auto(value: Any, default: Any, source: str) -> Choice:
    return (default, source) if is_auto(value) else (value, "")


def choose_validation(fraction: float | str, early_stopping: bool | int) -> Choice:
    """Choose the share of the samples that is held out for validation."""
    if isinstance(fraction, str):
        return (AUTO_VALIDATION, "for early stopping") if early_stopping else (0.0, "no early stopping")
    if early_stopping and not fraction:
        raise ValueError(
            f"early_stopping={early_stopping!r} needs validation samples, but validation_fraction={fraction!r}. "
            "Pass a share above 0, or 'auto'."
        )
    return float(fraction), ""


def choose_patience(early_stopping: bool | int) -> Choice:
    """Choose the epochs without improvement after which training stops; 0 never stops."""
    return (
        (AUTO_PATIENCE, "the default of early_stopping=True") if early_stopping is True else (int(early_stopping), "")
    )


def auto_batch_size(n_samples: int, modality: Modality) -> int:
    """Return the power of two next to the square root of the number of samples, within the modality's limits.

    In the same number of epochs, small data teach more in many small steps than in few large ones.
    """
    next_to_root: int = 2 ** math.ceil(math.log2(n_samples) / 2)
    return min(max(modality.smallest_batch_size, next_to_root), modality.batch_size)


def choose_batch_size(batch_size: int | str, n_samples: int, default: int) -> tuple[int, str]:
    """Choose the samples per step, over all ranks; batches larger than the data are cut to all samples."""
    asked = default if isinstance(batch_size, str) else int(batch_size)
    size = min(asked, n_samples)
    if (not isinstance(batch_size, str) and batch_size % world.size) or size < world.size:
        raise ValueError(
            f"batch_size={batch_size} of {n_samples} samples cannot be divided among {world.size} ranks. Pass a "
            "multiple of their number and at least one sample per rank, or start fewer ranks."
        )
    if not isinstance(batch_size, str) and batch_size > n_samples:
        warnings.warn(
            f"batch_size={batch_size} is larger than the {n_samples} training samples. "
            "Each step takes all of them as one batch.",
            UserWarning,
            stacklevel=2,
        )
    size -= size % world.size
    if size == asked:
        return size, f"the default for {n_samples:,} samples" if isinstance(batch_size, str) else ""
    return size, f"at most {asked}, and there are {n_samples} training samples"


def choose_epochs(
    max_epochs: int | str, n_samples: int, batch_size: int, modality: Modality, encoder: Part, *, endless: bool
) -> tuple[int, str]:
    """Choose the number of epochs; "auto" divides a budget of steps, so small data get many epochs.

    The budget is for full batches. Smaller ones take more steps, in inverse proportion to Adam's learning rate, which
    follows the square root of the batch size.
    """
    if endless:
        return 1, "partial_fit trains one epoch"
    if not isinstance(max_epochs, str):
        return int(max_epochs), ""
    built_in = _built_in(encoder)
    if built_in is not None and not built_in.is_trained(dict(encoder.arguments)):
        return 0, "no layer of the encoder is trained"
    full = min(modality.batch_size, n_samples)
    n_steps = round(modality.n_steps * max(1.0, full / batch_size) ** 0.5)
    epochs = min(modality.most_epochs, math.ceil(n_steps / (n_samples // batch_size)))
    return epochs, f"{n_steps:,} steps for {name_of(modality)} data, in at most {modality.most_epochs} epochs"


def choose_optimizer(
    framework: type[Framework], optimizer: Any, params: Mapping[str, Any] | None, device: torch.device
) -> Choice:
    """Choose the optimiser; "auto" is the first of the framework's recipes."""
    part = look_up("optimizer", next(iter(framework.recipes)) if is_auto(optimizer) else optimizer, OPTIMIZERS)
    arguments = as_python(dict(params or {}))
    check_arguments("optimizer", part, arguments, given=("params", "lr", "weight_decay", "differentiable"))
    # torch's own defaults are not stored in the plan, since torch may change them.
    chosen = Part(part, {**preset_arguments(part, device), **arguments})
    return chosen, f"{framework.__name__}'s recipe" if is_auto(optimizer) else ""


def choose_rates(
    learning_rate: float | str,
    weight_decay: float | str,
    framework: type[Framework],
    optimizer: type[torch.optim.Optimizer],
    batch_size: int,
    encoder: Part,
) -> dict[str, Choice]:
    """Choose learning rate and weight decay from the framework's recipe for the optimiser, or from the encoder."""
    recipes = {OPTIMIZERS[name]: recipe for name, recipe in framework.recipes.items()}
    base = next((base for base in optimizer.__mro__ if base in recipes), None)
    recipe = _UNKNOWN_RECIPE if base is None else recipes[base]
    source = "a guess" if base is None else f"{framework.__name__}'s recipe for {base.__name__}"
    rate: Choice = recipe.at(batch_size), f"{source} at batches of {batch_size}"
    built_in = _built_in(encoder)
    if built_in is not None and built_in.learning_rate is not None:
        rate = built_in.learning_rate, f"the default for {encoder.name}"
    return {
        "learning_rate": _or_auto(learning_rate, *rate),
        "weight_decay": _or_auto(weight_decay, recipe.weight_decay, source),
    }


def _built_in(encoder: Part) -> type[Encoder] | None:
    """Return the class of an encoder that an `Encoder` class and arguments describe; None for any other."""
    part: Any = encoder.make
    return part if encoder.instance is None and isinstance(part, type) and issubclass(part, Encoder) else None


def choose_schedule(lr_schedule: Any) -> Callable[[float], float]:
    """Return the learning rate schedule of a name, or a callable of progress after a check.

    Raises
    ------
    ValueError : if it does not return a factor for a progress.
    """
    decay: Callable[[float], float] = look_up("lr_schedule", lr_schedule, LR_SCHEDULES)
    try:
        factors = [decay(progress) for progress in (0.0, 0.5)]
    except Exception as error:
        raise ValueError(
            f"lr_schedule={lr_schedule!r} raised an error ({error}). Pass a function from progress in [0, 1) to a "
            "factor of the learning rate."
        ) from error
    if not all(_is_factor(as_python(factor)) for factor in factors):
        raise ValueError(
            f"lr_schedule={lr_schedule!r} returns {factors[0]!r}. Return a factor of the learning rate, 0 or more."
        )
    return decay


def _is_factor(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf


def choose_seed(random_state: Any, seed: int) -> Choice:
    """Return the seed drawn from `random_state`, and its origin."""
    return seed, "drawn at each fit" if random_state is None else f"drawn from {shown(random_state)}"


def choose_precision(precision: str, device: torch.device) -> Choice:
    """Choose the precision of the forward pass; "auto" is bfloat16 if it is faster on the device."""
    if precision != "auto":
        return precision, ""
    faster = multiplies_faster_in_bfloat16(device)
    return "bfloat16" if faster else "float32", f"bfloat16 is {'' if faster else 'not '}faster on this {device.type}"


def choose_device(device: Any) -> torch.device:
    """Return the device; "auto" takes CUDA, then MPS, then the CPU."""
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    available = {"cuda": n_gpus > 0, "mps": torch.backends.mps.is_available(), "cpu": True}
    if hasattr(torch, "xpu"):
        available["xpu"] = torch.xpu.is_available()
    if is_auto(device):
        return torch.device(next(kind for kind, is_available in available.items() if is_available))
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is unknown. Pass 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.") from error
    if chosen.type not in available:
        raise ValueError(f"device={device!r} is not supported. Pass 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.")
    if not available[chosen.type] or (chosen.type == "cuda" and (chosen.index or 0) >= n_gpus):
        raise ValueError(
            f"device={device!r} is not available: torch sees {n_gpus} CUDA devices, counted from 0, with "
            f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')!r}. Use device='auto' or 'cpu'."
        )
    return chosen


def device_or_cpu(device: Any) -> torch.device:
    """Return the device for a model that was trained elsewhere; if it is not available, warn and return the CPU."""
    try:
        return choose_device(device)
    except ValueError as error:
        warnings.warn(f"the model is on the CPU, since {error}", UserWarning, stacklevel=2)
        return torch.device("cpu")


# -- comparison of plans ----------------------------------------------------------------------------


def check_settled(parameters: Mapping[str, Any], modality: Modality, then: Plan) -> None:
    """Raise a ValueError if a continued fit would ignore a changed parameter: modality and encoder are kept.

    Parameters
    ----------
    parameters : parameters of the estimator, by name.
    modality : modality that has read the data.
    then : plan of the last fit.
    """
    encoder, params = parameters["encoder"], parameters["encoder_params"]
    # With an encoder object, parameters of another encoder may still be set.
    params = params if isinstance(encoder, str | type) else None
    now = {
        "modality": choose_modality(parameters["modality"], parameters["modality_params"], modality)[0],
        "encoder": choose_encoder(encoder, params, modality)[0],
    }
    for name, part in now.items():
        before = getattr(then, name)
        if part == before:
            continue
        alike = part.make is before.make and part.instance is before.instance
        value, last = (reprlib.repr(p.changed()) if alike else _network_name(p) for p in (part, before))
        differs = "differs from" if value != last else "is not the"
        raise ValueError(
            f"{name}{'_params' * alike}={value} {differs} {last} of the last fit, which this fit continues. Set it "
            "back, or use fit with warm_start=False."
        )


def _network_name(part: Part) -> str:
    """Return the name of a part; for a fitted encoder, the name of its network, which the user has chosen."""
    fitted = isinstance(part.instance, Preprocessed)
    return type(part.instance.network).__name__ if fitted else part.name


def check_freeze(plan: Plan) -> None:
    """Warn if the layers to be frozen are untrained: their weights are random."""
    part = _built_in(plan.encoder)
    if plan.freeze in ("none", 0) or part is None:
        return
    arguments = plan.encoder.changed()
    # Encoders with pretrained weights return other arguments, or raise if they need weights.
    with suppress(ValueError):
        if part.without_fetching(arguments) == arguments:
            warnings.warn(
                f"freeze={plan.freeze!r} would keep layers with random weights. Pass a fitted embedder or a "
                "pretrained module as encoder=, or set freeze='none'.",
                UserWarning,
                stacklevel=2,
            )


def check_precision(plan: Plan) -> None:
    """Warn about float16 on a CPU, which has no units for it."""
    if plan.precision == "float16" and plan.device.type == "cpu":
        warnings.warn(
            "precision='float16' is about ten times slower than 'bfloat16' on a CPU. Set precision='auto'.",
            UserWarning,
            stacklevel=2,
        )


def result_choices(plan: Plan) -> dict[str, str]:
    """Return the choices that affect the result, as text by name; a checkpoint resumes only if they match."""
    described = plan.described()
    return {name: text for name, text in described.items() if _affects_result(name.partition("__")[0])}


def _affects_result(name: str) -> bool:
    return name not in PARAMETERS or PARAMETERS[name].affects_result


def check_ranks_alike(plan: Plan) -> None:
    """Raise a ValueError if ranks have different plans; callbacks such as loggers may be on one rank only."""
    choices = result_choices(plan)
    check_same_on_ranks({name: text for name, text in choices.items() if name not in ("callbacks", "net_params")})
