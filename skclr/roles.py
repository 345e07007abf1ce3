"""Valid values in a model file: names and parts of a registry, and plain values within bounds.

A role accepts or rejects a value. `skclr.parameters` contains the roles of the estimator's parameters and
`skclr.argument_roles` those of the arguments of parts; files may not set anything without a role. No role accepts a
path, an address or a program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skclr.encoders import ENCODERS
from skclr.encoders.base import Encoder
from skclr.files.format import Described, Missing, Named
from skclr.files.plain import Plain
from skclr.modalities import MODALITIES, Modality, PlainFeatures, SparsePlainFeatures
from skclr.modalities.text import TOKENIZERS, choose_tokenizer
from skclr.modalities.tokenizers import OfModel, Tokenizer

# Packages whose code a file may use, if the user trusts them.
PACKAGES = ("sentence_transformers", "timm", "tokenizers")

# Takes a value of a file and the `Admission` of the file; returns the object it describes, or raises a ValueError.
Role = Callable[[Any, "Admission"], Any]


class NeededError(ValueError):
    """Raised if a model needs something that a file cannot contain, and the user must pass it."""


class LeftOutError(Exception):
    """Raised for a value that a trusted file may contain, but that is never taken from a file."""


class Admission:
    """Decides which values of a file are used, and records those that are left out.

    Parameters
    ----------
    given : parameters passed by the user, which no role restricts.
    trust : packages whose code the file may use.
    roles : roles of the estimator's parameters; a dictionary of arguments has a role for each argument.
    arguments : roles of the arguments of parts.

    Attributes
    ----------
    left_out : values of the file that were not used, and the parameter by which the user can pass them.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        trust: Collection[str],
        roles: Mapping[str, Role | Mapping[str, Role]],
        arguments: Mapping[str, Role],
    ) -> None:
        unknown = set(trust) - set(PACKAGES)
        if unknown or isinstance(trust, str):
            raise ValueError(f"trust={trust!r}: pass a tuple of names among {', '.join(map(repr, PACKAGES))}")
        self.given = given
        self.trust = {*trust, *_packages(given.get("encoder"))}
        self.roles = roles
        self.arguments = arguments
        self.left_out: dict[str, str] = {}

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the estimator's parameters in the file, without those passed by the user.

        Raises
        ------
        ValueError : if a role rejects a value.
        """
        admitted = {}
        for name, value in values.items():
            if name not in self.given:
                try:
                    if name not in self.roles:
                        raise ValueError(f"a file may not set {name!r}")
                    role = self.roles[name]
                    if isinstance(role, Mapping):
                        admitted[name] = self._entries(name, value, role)
                    else:
                        admitted[name] = self._parameter(name, value, role)
                except LeftOutError:
                    self.left_out[name] = name
        self._check_packages(admitted)
        return admitted

    def modality(self, value: Any) -> Modality:
        """Return the fitted modality.

        Raises
        ------
        ValueError : if it is not a modality, or its state is inconsistent.
        """
        modality: Modality = _build([*MODALITIES.values(), PlainFeatures, SparsePlainFeatures], value, self)
        return modality

    def admit(self, name: str, value: Any, table: Mapping[str, Role]) -> Any:
        """Return the object that a value of a file describes, by its role in a table."""
        if name not in table:
            raise ValueError(f"a file may not set {name!r}")
        try:
            return table[name](value, self)
        except ValueError as error:
            raise error if isinstance(error, NeededError) else ValueError(f"{name}: {error}") from error

    def _parameter(self, name: str, value: Any, role: Role) -> Any:
        # The user is asked for objects that files cannot contain, unless the model does not need them.
        return value if isinstance(value, Missing) and role is not never else self.admit(name, value, {name: role})

    def _entries(self, name: str, values: Any, table: Mapping[str, Role]) -> dict[str, Any] | Missing | None:
        """Return the entries of a dictionary of arguments."""
        if values is None or isinstance(values, Missing):
            return values
        if not isinstance(values, dict) or not all(isinstance(entry, str) for entry in values):
            raise ValueError(f"{name} is not a dictionary of arguments")
        if name == "encoder_params" and "timm" in self.trust:
            table = {**dict.fromkeys(values, setting), **table, "model": _timm_model}
        elif name == "optimizer_params" or name.removesuffix("_params") in self.given:
            # Arguments of classes of other packages.
            table = {**dict.fromkeys(values, setting), **table}
        admitted = {}
        for entry, value in values.items():
            try:
                admitted[entry] = self.admit(entry, value, table)
            except LeftOutError:
                self.left_out[f"{name}[{entry!r}]"] = name
        return admitted

    def _check_packages(self, parameters: Mapping[str, Any]) -> None:
        for package in _packages(parameters.get("encoder")) - self.trust:
            if "encoder_params" not in self.given:
                raise NeededError(
                    f"its encoder is a model of the package {package}. Pass it, load(path, encoder=...), or allow the "
                    f"file to use that package, load(path, trust=({package!r},))"
                )


def _packages(encoder: Any) -> set[str]:
    """Return the packages other than skclr whose code an encoder runs."""
    part = ENCODERS.get(encoder) if isinstance(encoder, str) else encoder
    package = getattr(part, "package", None) if isinstance(part, type) and issubclass(part, Encoder) else None
    return set() if package is None else {package}


# -- plain values -----------------------------------------------------------------------------------


def whole(least: int, most: int) -> Role:
    """Accept whole numbers within bounds."""

    def admit(value: Any, admission: Admission) -> Any:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{_shown(value)} is not a whole number from {least:,} to {most:,}")
        return value

    return admit


def number(least: float = -1e9, most: float = 1e9) -> Role:
    """Accept finite numbers within bounds."""

    def admit(value: Any, admission: Admission) -> Any:
        if type(value) not in (int, float) or not least <= value <= most:
            raise ValueError(f"{_shown(value)} is not a number from {least:g} to {most:g}")
        return value

    return admit


def one_of(*choices: Any) -> Role:
    """Accept the given values."""

    def admit(value: Any, admission: Admission) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise ValueError(f"{_shown(value)} is not among {', '.join(map(repr, choices))}")
        return value

    return admit


def either(*roles: Role) -> Role:
    """Accept values that any of several roles accepts."""

    def admit(value: Any, admission: Admission) -> Any:
        faults = []
        for role in roles:
            try:
                return role(value, admission)
            except ValueError as error:
                faults.append(str(error))
        raise ValueError(" and ".join(faults))

    return admit


def several(role: Role, most: int) -> Role:
    """Accept lists and tuples of at most `most` values."""

    def admit(value: Any, admission: Admission) -> Any:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise ValueError(f"{_shown(value)} is not a list of up to {most:,} values")
        return type(value)(role(entry, admission) for entry in value)

    return admit


def tensor(value: Any, admission: Admission) -> Any:
    """Accept tensors."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{_shown(value)} is not a tensor")
    return value


def never(value: Any, admission: Admission) -> Any:
    """Accept only None."""
    if value is not None:
        raise LeftOutError
    return None


def device(value: Any, admission: Admission) -> Any:
    """Accept devices that torch always knows; others need their own packages."""
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", value):
        raise LeftOutError
    return value


def _short_name(value: Any, admission: Admission) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError(f"{_shown(value)} is neither a number within bounds nor a name")
    if isinstance(value, dict) or not re.fullmatch(r"\w{1,40}", value):
        raise LeftOutError
    return value


def _timm_model(value: Any, admission: Admission) -> Any:
    """Accept names like those of timm's built-in models, which exclude paths and hubs."""
    if not isinstance(value, str) or not re.fullmatch(r"\w{1,80}(\.\w{1,80})?", value):
        raise ValueError(f"model={_shown(value)} is not a built-in model of timm")
    return value


def tokenizer(value: Any, admission: Admission) -> Any:
    """Accept names of tokenizers, and tokenizers of skclr with their settings."""
    if isinstance(value, Described):
        return _build([part for part in TOKENIZERS.values() if part.package is None], value, admission)
    if value is None or value in ("auto", *TOKENIZERS):
        return value
    raise LeftOutError


def chosen_columns(value: Any, admission: Admission) -> Any:
    """Accept names, numbers or flags of columns."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and all(type(entry) in (str, int, bool) for entry in value.tolist()):
            return value
        raise ValueError("they are not names, numbers or flags of columns")
    name = either(one_of(True, False), whole(-(2**31), 2**31), _column)
    return several(name, 2**24)(value, admission)


def _column(value: Any, admission: Admission) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not the name of a column")
    return value


AUTO = one_of("auto")
NONE = one_of(None)
FLAG = one_of(True, False)
COUNT = whole(0, 2**31)
SIZE = whole(0, 2**20)
DEPTH = whole(0, 2**10)
SHARE = number(0, 1)
PAIR = several(number(), 2)
RATE = either(number(), several(number(), 64))

_SETTING = either(one_of(None, True, False), whole(-(2**14), 2**14), number(-1e6, 1e6), _short_name)
# For classes of other packages: numbers and short names, which cannot be paths, and short lists of these.
setting = either(several(_SETTING, 64), _SETTING)


def _shown(value: Any) -> str:
    if isinstance(value, Named | Described):
        return f"the class {value.name[:60]}"
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) < 60 else f"{text[:60]}..."


# -- parts ------------------------------------------------------------------------------------------


# Optimisers of torch that need only gradients.
TORCH_OPTIMIZERS = {
    part.__name__: part
    for part in vars(torch.optim).values()
    if isinstance(part, type) and part not in (torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)
}


def part_of(registry: Mapping[str, Any], *more: Any, objects: bool = False) -> Role:
    """Accept names and classes of a registry and, with `objects`, instances.

    Parameters
    ----------
    registry : parts by name.
    more : further names and classes.
    objects : whether parts that the file describes are built.
    """
    names = {*registry, *(name for name in more if isinstance(name, str))}
    classes = {part.__name__: part for part in (*registry.values(), *more) if isinstance(part, type)}

    def admit(value: Any, admission: Admission) -> Any:
        if isinstance(value, str) and value in names:
            return value
        if isinstance(value, Named) and value.name in classes:
            return classes[value.name]
        if isinstance(value, Described) and objects:
            return _build(classes.values(), value, admission)
        raise ValueError(f"{_shown(value)} is not among {', '.join(map(repr, sorted(names | classes.keys())))}")

    return admit


def object_of(registry: Mapping[str, type]) -> Role:
    """Accept instances of a registry's classes, and None."""

    def admit(value: Any, admission: Admission) -> Any:
        return None if value is None else _build(registry.values(), value, admission)

    return admit


def _build(classes: Iterable[Any], value: Any, admission: Admission) -> Any:
    """Build a described part, whose class must be one of the given ones.

    Its settings are checked like arguments; its learned state is checked against its annotations.
    """
    known = {part.__name__: part for part in classes}
    if not isinstance(value, Described) or value.name not in known:
        kind = value.name if isinstance(value, Described | Named) else type(value).__name__
        raise ValueError(f"{_shown(str(kind))} is not among {', '.join(sorted(known))}")
    state = {name: _stated(name, entry, admission) for name, entry in value.state.items()}
    part: Plain = known[value.name].from_state(state)
    return part


def _stated(name: str, value: Any, admission: Admission) -> Any:
    if name == "tokenizer_":
        return _tokenizer(value, admission)
    if name in admission.arguments:
        try:
            return admission.admit(name, value, admission.arguments)
        except LeftOutError:
            return None
    return value


def _tokenizer(value: Any, admission: Admission) -> Tokenizer:
    known: list[type[Tokenizer]] = [*TOKENIZERS.values(), OfModel]
    others = {part.__name__: part for part in known if part.package}
    if not isinstance(value, Described) or value.name not in others:
        tokenizer: Tokenizer = _build([part for part in known if not part.package], value, admission)
        return tokenizer
    given = admission.given.get("modality_params") or {}
    if "tokenizer" in given:
        tokenizer = choose_tokenizer(given["tokenizer"])
        if tokenizer.n_tokens != value.state.get("n_tokens"):
            raise NeededError(
                f"modality_params={given}: this tokenizer has {tokenizer.n_tokens} tokens, but the model was fitted "
                f"with {value.state.get('n_tokens')}. Pass the tokenizer of the fit."
            )
        return tokenizer
    if "tokenizers" not in admission.trust:
        raise NeededError(
            "the texts were read with a tokenizer of the package tokenizers. Pass the tokenizer, "
            "load(path, modality_params={'tokenizer': ...}), or trust=('tokenizers',) to build it from the file."
        )
    return others[value.name].from_state(value.state)
