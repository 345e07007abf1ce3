"""Valid values of the estimator's parameters: in calls, as `part__name`, and in model files."""

from __future__ import annotations

import inspect
import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skclr.argument_roles import ARGUMENTS
from skclr.arguments import check_types
from skclr.encoders import ENCODERS
from skclr.files.plain import as_python
from skclr.frameworks import BY_CLASS, FRAMEWORKS, Framework
from skclr.hints import REGISTRIES, hint, nearest_name
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, Modality
from skclr.roles import (
    AUTO,
    COUNT,
    FLAG,
    NONE,
    SHARE,
    SIZE,
    TORCH_OPTIMIZERS,
    Admission,
    Role,
    device,
    either,
    never,
    number,
    one_of,
    part_of,
    whole,
)
from skclr.training import LR_SCHEDULES, OPTIMIZERS, MomentumSGD, is_callback
from skclr.views import VIEWS

PARTS = (*REGISTRIES, "net")

# Packages whose parts declare the types of their arguments.
_DECLARING = ("skclr", "torch")


# -- the table ------------------------------------------------------------------------------------

Check = Callable[[Any], bool]

_DICTIONARY = "a dictionary of parameters, or None"


@dataclass(frozen=True)
class Parameter:
    """The valid values of a parameter.

    Parameters
    ----------
    valid : whether a value may be passed.
    allowed : valid values in words, following "pass".
    role : values that a model file may set; for a dictionary of arguments, the values of each of them.
    affects_result : whether the parameter affects the result, so that a checkpoint resumes only with the same value.
    """

    valid: Check
    allowed: str
    role: Role | Mapping[str, Role]
    affects_result: bool = True


def _whole(least: int) -> Check:
    return lambda v: isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= least


def _number(least: float, below: float = math.inf) -> Check:
    return lambda v: isinstance(v, Real) and not isinstance(v, bool) and least <= float(v) < below


def _above(bound: float) -> Check:
    return lambda v: isinstance(v, Real) and not isinstance(v, bool) and bound < float(v) < math.inf


def _seed(v: Any) -> bool:
    return _whole(0)(v) and int(v) < 2**32


def _among(*values: Any) -> Check:
    return lambda v: any(v is value or (isinstance(v, str) and v == value) for value in values)


def _auto_or(check: Check) -> Check:
    return lambda v: (isinstance(v, str) and v == "auto") or check(v)


def _name_or(check: Check) -> Check:
    return lambda v: isinstance(v, str) or check(v)


def _class_of(base: type) -> Check:
    return lambda v: isinstance(v, type) and issubclass(v, base)


def _dictionary(v: Any) -> bool:
    return v is None or isinstance(v, Mapping)


PARAMETERS: dict[str, Parameter] = {
    "framework": Parameter(
        _name_or(_class_of(Framework)),
        "a name in skclr.frameworks.FRAMEWORKS, or a class of that kind",
        part_of(FRAMEWORKS, *BY_CLASS),
    ),
    "loss": Parameter(
        _name_or(callable),
        "'auto', a name in skclr.losses.LOSSES, a class or a function",
        part_of(LOSSES, "auto", objects=True),
    ),
    "encoder": Parameter(
        _name_or(lambda v: callable(v) or isinstance(v, BaseEstimator)),
        "'auto', a name in skclr.encoders.ENCODERS, a class, a torch.nn.Module or a fitted embedder",
        part_of(ENCODERS, "auto"),
    ),
    "views": Parameter(
        _name_or(callable),
        "'auto', a name in skclr.views.VIEWS, a class or a function",
        part_of(VIEWS, "auto", objects=True),
    ),
    "modality": Parameter(
        _name_or(_class_of(Modality)),
        "'auto', a name in skclr.modalities.MODALITIES, or a class of that kind",
        part_of(MODALITIES, "auto"),
    ),
    "optimizer": Parameter(
        _name_or(_class_of(torch.optim.Optimizer)),
        "'auto', 'adamw', 'sgd', 'lars' or a class of torch",
        part_of(OPTIMIZERS, "auto", MomentumSGD, *TORCH_OPTIMIZERS.values()),
    ),
    "lr_schedule": Parameter(
        _name_or(callable), "'cosine', 'linear', 'constant' or a function of progress", part_of(LR_SCHEDULES)
    ),
    "freeze": Parameter(
        lambda v: _among("none", "all")(v) or _whole(0)(v),
        "'none', 'all' or the number of first layers to freeze",
        either(one_of("none", "all"), COUNT),
    ),
    "positives": Parameter(_among("views", "labels"), "'views' or 'labels'", one_of("views", "labels")),
    "projection_dim": Parameter(_auto_or(_whole(1)), "'auto' or a whole number of 1 or more", either(AUTO, SIZE)),
    "max_epochs": Parameter(
        _auto_or(_whole(0)),
        "'auto' or a whole number of 0 or more (0 leaves the encoder untrained)",
        either(AUTO, COUNT),
    ),
    "batch_size": Parameter(
        _auto_or(_whole(2)),
        "'auto' or a whole number of 2 or more (a single sample cannot be contrasted)",
        either(AUTO, COUNT),
    ),
    "chunk_size": Parameter(
        lambda v: v is None or _whole(1)(v), "None or a whole number of 1 or more", either(NONE, COUNT)
    ),
    "learning_rate": Parameter(_auto_or(_above(0)), "'auto' or a number above 0", either(AUTO, number(0))),
    "weight_decay": Parameter(_auto_or(_number(0)), "'auto' or a number of 0 or more", either(AUTO, number(0))),
    "warmup_epochs": Parameter(
        _auto_or(_number(0)), "'auto' or a number of epochs of 0 or more", either(AUTO, number(0))
    ),
    # Invalid devices are reported when the device is chosen. A checkpoint compares the type of the device itself.
    "device": Parameter(lambda v: True, "'auto' or a torch device", device, affects_result=False),
    "precision": Parameter(
        _among("auto", "float32", "bfloat16", "float16"),
        "'auto', 'float32', 'bfloat16' or 'float16'",
        one_of("auto", "float32", "bfloat16", "float16"),
    ),
    "compile": Parameter(_among(True, False), "True or False", FLAG),
    "validation_fraction": Parameter(
        _auto_or(_number(0, below=1)), "'auto' or a share from 0 up to but not including 1", either(AUTO, SHARE)
    ),
    "early_stopping": Parameter(
        lambda v: isinstance(v, bool) or _whole(1)(v),
        "True, False or the number of epochs to wait",
        either(FLAG, COUNT),
    ),
    "callbacks": Parameter(
        lambda v: v is None or (isinstance(v, list | tuple) and all(map(is_callback, v))),
        "None or a list of skorch callbacks, each alone or as (name, callback)",
        never,
    ),
    "passthrough": Parameter(_auto_or(_among(True, False)), "'auto', True or False", either(AUTO, FLAG)),
    "random_state": Parameter(
        lambda v: v is None or v is np.random or isinstance(v, np.random.RandomState) or _seed(v),
        "None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState",
        either(NONE, whole(0, 2**32 - 1)),
    ),
    "verbose": Parameter(
        lambda v: isinstance(v, bool | np.bool_) or _whole(0)(v),
        "a whole number of 0 or more",
        either(FLAG, COUNT),
        affects_result=False,
    ),
    "warm_start": Parameter(_among(True, False), "True or False", FLAG, affects_result=False),
    "checkpoint_dir": Parameter(
        lambda v: v is None or (isinstance(v, str | os.PathLike) and os.fspath(v) != ""),
        "a folder ('.' is the working directory), or None",
        never,
        affects_result=False,
    ),
    "checkpoint_minutes": Parameter(
        _number(0), "minutes of 0 or more (0 writes a checkpoint after every step)", number(0), affects_result=False
    ),
    "on_interrupt": Parameter(
        _among("raise", "keep"), "'raise' or 'keep'", one_of("raise", "keep"), affects_result=False
    ),
    **{
        f"{part}_params": Parameter(_dictionary, _DICTIONARY, {} if part == "optimizer" else ARGUMENTS)
        for part in REGISTRIES
    },
    "net_params": Parameter(_dictionary, _DICTIONARY, never),
}


def check_parameters(params: Mapping[str, Any]) -> None:
    """Check the values of the estimator's parameters.

    Raises
    ------
    ValueError : if a value is invalid; names the parameter, its value and valid values.
    """
    for name, parameter in PARAMETERS.items():
        if not parameter.valid(as_python(params[name])):
            raise ValueError(f"{name}={params[name]!r}: pass {parameter.allowed}")


def admission(given: Mapping[str, Any], trust: Collection[str]) -> Admission:
    """Return the `Admission` for a model file; for the parameters see there."""
    return Admission(given, trust, {name: parameter.role for name, parameter in PARAMETERS.items()}, ARGUMENTS)


# -- parts and their arguments --------------------------------------------------------------------


def look_up(argument: str, value: Any, registry: Mapping[str, Any]) -> Any:
    """Return the entry that `value` names; a value that is not a string is returned unchanged.

    Raises
    ------
    ValueError : if the name is unknown; the message suggests the most similar name and lists all.
    """
    if not isinstance(value, str):
        return value
    if value in registry:
        return registry[value]
    near = nearest_name(value, registry)
    suggestion = f"did you mean {near!r}? " if near else ""
    raise ValueError(f"{argument}={value!r} is unknown: {suggestion}known are {', '.join(map(repr, registry))}")


def check_arguments(
    argument: str,
    part: Callable[..., Any],
    params: Mapping[str, Any],
    given: Collection[str] = (),
    filled_in: Collection[str] = (),
) -> None:
    """Check arguments against the signature of a class or a factory.

    Parameters
    ----------
    argument : the estimator's parameter of the part.
    part : the class or factory.
    params : the user's `<argument>_params`.
    given : arguments that the estimator always passes.
    filled_in : arguments that the estimator passes if the user does not.

    Raises
    ------
    ValueError : if an argument is unknown (the message lists the known ones), missing, or of another type than a part
        of skclr or torch declares.
    """
    parameters = inspect.signature(part).parameters
    title = getattr(part, "__name__", repr(part))
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [name for name, p in parameters.items() if name not in given and p.kind is not p.VAR_KEYWORD]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in params if name in given or not (name in names or open_ended)]
    if unknown:
        remedy = hint(unknown[0], PARAMETERS, argument, names)
        raise ValueError(
            f"{argument}_params has {unknown[0]!r}, but {title} takes {', '.join(names) or 'no parameters'}"
            + (remedy and f": {remedy}")
        )
    for name, parameter in parameters.items():
        known = parameter.default is not parameter.empty or parameter.kind in variadic
        if not known and name not in {*given, *filled_in, *params}:
            raise ValueError(f"{argument}={title} needs {name!r}. Pass {argument}_params={{{name!r}: ...}}.")
    if str(getattr(part, "__module__", "")).partition(".")[0] in _DECLARING:
        check_types(f"{argument}_params", part, params)


# -- entry by entry -------------------------------------------------------------------------------


Init = TypeVar("Init", bound=Callable[..., None])


def with_hints(init: Init) -> Init:
    """Decorate a constructor so that an unknown parameter is a TypeError with a suggestion."""
    known = [*inspect.signature(init).parameters][1:]

    @wraps(init)
    def hinting(estimator: Any, *args: Any, **params: Any) -> None:
        _check_names(type(estimator), params, known, TypeError)
        init(estimator, *args, **params)

    return cast(Init, hinting)


def deep_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters together with the entries `part__name` of the `<part>_params` dictionaries."""
    deep = dict(params)
    for part in PARTS:
        entries = params[f"{part}_params"]
        # Any value may have been set; `fit` reports invalid ones.
        for name, value in entries.items() if isinstance(entries, Mapping) else ():
            deep[f"{part}__{name}"] = value
    return deep


def shallow_params(estimator: BaseEstimator, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with each `part__name` as an entry of a new `<part>_params` dictionary.

    Parameters
    ----------
    estimator : the estimator to whose dictionaries the entries are added.
    params : as in `set_params`.

    Raises
    ------
    ValueError : if a name is unknown.
    """
    shallow: dict[str, Any] = {}
    entries: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in params.items():
        part, separator, name = key.partition("__")
        if separator and part in PARTS:
            entries[f"{part}_params"][name] = value
        else:
            shallow[key] = value
    names = [key.partition("__")[0] for key in shallow]
    _check_names(type(estimator), names, list(estimator.get_params(deep=False)), ValueError)
    for attribute, values in entries.items():
        shallow[attribute] = {**(shallow.get(attribute, getattr(estimator, attribute)) or {}), **values}
    return shallow


def _check_names(estimator: type, names: Iterable[str], known: list[str], error: type[Exception]) -> None:
    for name in names:
        if name not in known:
            remedy = hint(name, known) or f"valid parameters are {', '.join(known)}"
            raise error(f"Invalid parameter {name!r} for estimator {estimator.__name__}: {remedy}")
