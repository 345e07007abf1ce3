"""What each parameter may be in a model file: names and parts of its own registry, and plain values within bounds.

One table says so for the estimator's parameters and one for the arguments of parts; what a table does not name, no file
may set. Nothing that names a path, an address or a program is in them.
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
from skclr.frameworks import FRAMEWORKS, Supervised
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, Modality
from skclr.modalities.categories import Categories
from skclr.modalities.text import TOKENIZERS, choose_tokenizer
from skclr.modalities.tokenizers import OfModel, Tokenizer
from skclr.training import LR_SCHEDULES, OPTIMIZERS, MomentumSGD
from skclr.views import VIEWS

# Packages whose code a file may name, if the user trusts them with it.
PACKAGES = ("sentence_transformers", "timm", "tokenizers")

# Takes a value of a file, and what is known of the file; returns what it stands for, or raises a ValueError.
Role = Callable[[Any, "Admission"], Any]


class NeededError(ValueError):
    """A model needs something that its file cannot bring: the user has to give it."""


class LeftOutError(Exception):
    """A value that a user's own file may hold, and that is not taken from any file."""


class Admission:
    """What is taken from one file, and what is left out of it.

    Parameters
    ----------
    given : parameters that the user gave, which no role restricts.
    trust : packages whose code the file may name.

    Attributes
    ----------
    left_out : what the file had and was not taken, and by which parameter the user can give it.
    """

    def __init__(self, given: Mapping[str, Any], trust: Collection[str]) -> None:
        unknown = set(trust) - set(PACKAGES)
        if unknown or isinstance(trust, str):
            raise ValueError(f"trust={trust!r}: pass a tuple of names among {', '.join(map(repr, PACKAGES))}")
        self.given = given
        self.trust = {*trust, *_packages(given.get("encoder"))}
        self.left_out: dict[str, str] = {}

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the estimator's parameters as the file has them, without those that the user gave.

        Raises
        ------
        ValueError : if one is not what its role admits.
        """
        admitted = {}
        for name, value in values.items():
            if name not in self.given:
                try:
                    admitted[name] = self._entries(name, value) if name in ENTRIES else self._parameter(name, value)
                except LeftOutError:
                    self.left_out[name] = name
        self._check_packages(admitted)
        return admitted

    def modality(self, value: Any) -> Modality:
        """Return the fitted modality.

        Raises
        ------
        ValueError : if it is none, or its state does not fit together.
        """
        modality: Modality = _build(MODALITIES.values(), value, self)
        return modality

    def admit(self, name: str, value: Any, table: Mapping[str, Role]) -> Any:
        """Return what a value of a file stands for by a table of roles."""
        if name not in table:
            raise ValueError(f"a file may not set {name!r}")
        try:
            return table[name](value, self)
        except ValueError as error:
            raise error if isinstance(error, NeededError) else ValueError(f"{name}: {error}") from error

    def _parameter(self, name: str, value: Any) -> Any:
        # Objects that no file holds are asked for, unless the model does without.
        return (
            value
            if isinstance(value, Missing) and PARAMETERS[name] is not never
            else self.admit(name, value, PARAMETERS)
        )

    def _entries(self, name: str, values: Any) -> dict[str, Any] | Missing | None:
        """Return the entries of a dictionary of a part's arguments."""
        if values is None or isinstance(values, Missing):
            return values
        if not isinstance(values, dict) or not all(isinstance(entry, str) for entry in values):
            raise ValueError(f"{name} is not a dictionary of arguments")
        table = ENTRIES[name]
        if name == "encoder_params" and "timm" in self.trust:
            table = {**dict.fromkeys(values, setting), **table, "model": _timm_model}
        elif name == "optimizer_params" or name.removesuffix("_params") in self.given:
            # Arguments of classes that are not ours.
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
                    f"its encoder is a model of the package {package}: pass it, load(path, encoder=...), or let the "
                    f"file choose among that package's models, load(path, trust=({package!r},))"
                )


def _packages(encoder: Any) -> set[str]:
    """Return the packages, besides our own, whose code an encoder runs."""
    part = ENCODERS.get(encoder) if isinstance(encoder, str) else encoder
    package = getattr(part, "package", None) if isinstance(part, type) and issubclass(part, Encoder) else None
    return set() if package is None else {package}


# -- plain values -----------------------------------------------------------------------------------


def whole(least: int, most: int) -> Role:
    """Admit whole numbers within bounds."""

    def admit(value: Any, admission: Admission) -> Any:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{_shown(value)} is not a whole number from {least:,} to {most:,}")
        return value

    return admit


def number(least: float = -1e9, most: float = 1e9) -> Role:
    """Admit finite numbers within bounds."""

    def admit(value: Any, admission: Admission) -> Any:
        if type(value) not in (int, float) or not least <= value <= most:
            raise ValueError(f"{_shown(value)} is not a number from {least:g} to {most:g}")
        return value

    return admit


def one_of(*choices: Any) -> Role:
    """Admit a few values."""

    def admit(value: Any, admission: Admission) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise ValueError(f"{_shown(value)} is not among {', '.join(map(repr, choices))}")
        return value

    return admit


def either(*roles: Role) -> Role:
    """Admit what any of several roles does."""

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
    """Admit lists and tuples of so many values at most."""

    def admit(value: Any, admission: Admission) -> Any:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise ValueError(f"{_shown(value)} is not a list of up to {most:,} values")
        return type(value)(role(entry, admission) for entry in value)

    return admit


def tensor(value: Any, admission: Admission) -> Any:
    """Admit tensors, whose bytes are in the file."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{_shown(value)} is not a tensor")
    return value


def never(value: Any, admission: Admission) -> Any:
    """Admit nothing but None."""
    if value is not None:
        raise LeftOutError
    return None


def device(value: Any, admission: Admission) -> Any:
    """Admit devices that torch can always name; others need packages of their own."""
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", value):
        raise LeftOutError
    return value


def _short_name(value: Any, admission: Admission) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError(f"{_shown(value)} is no number within bounds, and no name")
    if isinstance(value, dict) or not re.fullmatch(r"\w{1,40}", value):
        raise LeftOutError
    return value


def _timm_model(value: Any, admission: Admission) -> Any:
    """Admit names as timm's own models have them: no path and no hub is among them."""
    if not isinstance(value, str) or not re.fullmatch(r"\w{1,80}(\.\w{1,80})?", value):
        raise ValueError(f"model={_shown(value)} is none of timm's own")
    return value


def tokenizer(value: Any, admission: Admission) -> Any:
    """Admit names of tokenizers, and our own with their settings."""
    if isinstance(value, Described):
        return _build([part for part in TOKENIZERS.values() if part.package is None], value, admission)
    if value is None or value in ("auto", *TOKENIZERS):
        return value
    raise LeftOutError


def chosen_columns(value: Any, admission: Admission) -> Any:
    """Admit names, numbers or marks of columns."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and all(type(entry) in (str, int, bool) for entry in value.tolist()):
            return value
        raise ValueError("they are not names, numbers or marks of columns")
    name = either(one_of(True, False), whole(-(2**31), 2**31), _column)
    return several(name, 2**24)(value, admission)


def _column(value: Any, admission: Admission) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not the name of a column")
    return value


_SETTING = either(one_of(None, True, False), whole(-(2**14), 2**14), number(-1e6, 1e6), _short_name)
# Of classes that are not ours: numbers and short names, which are no paths, and lists of a few.
setting = either(several(_SETTING, 64), _SETTING)


def _shown(value: Any) -> str:
    if isinstance(value, Named | Described):
        return f"the class {value.name[:60]}"
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) < 60 else f"{text[:60]}..."


# -- parts ------------------------------------------------------------------------------------------


def part_of(registry: Mapping[str, Any], *more: Any, objects: bool = False) -> Role:
    """Admit names and classes of a registry, and if asked for objects of them.

    Parameters
    ----------
    registry : by name.
    more : further names and classes.
    objects : whether a part that the file describes is built.
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
    """Admit objects of a registry's classes, and None."""

    def admit(value: Any, admission: Admission) -> Any:
        return None if value is None else _build(registry.values(), value, admission)

    return admit


def _build(classes: Iterable[Any], value: Any, admission: Admission) -> Any:
    """Build a described part, which has to be of one of some classes.

    Its settings are admitted as arguments are; what it has learned is held against its annotations.
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
    if name == "categories_":
        return _build([Categories], value, admission)
    if name in ARGUMENTS:
        try:
            return admission.admit(name, value, ARGUMENTS)
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
                f"modality_params={given}: this tokenizer has {tokenizer.n_tokens} tokens, and the model was fitted "
                f"with {value.state.get('n_tokens')}: pass the one that it was fitted with"
            )
        return tokenizer
    if "tokenizers" not in admission.trust:
        raise NeededError(
            "the texts were read with a tokenizer of the package tokenizers: pass the tokenizer, "
            "load(path, modality_params={'tokenizer': ...}), or trust=('tokenizers',) to build it from the file"
        )
    return others[value.name].from_state(value.state)


# -- the tables -------------------------------------------------------------------------------------

AUTO = one_of("auto")
NONE = one_of(None)
FLAG = one_of(True, False)
COUNT = whole(0, 2**31)
SIZE = whole(0, 2**20)
DEPTH = whole(0, 2**10)
SHARE = number(0, 1)
PAIR = several(number(), 2)
RATE = either(number(), several(number(), 64))
# Of torch's optimisers those that step by gradients alone.
TORCH_OPTIMIZERS = {
    part.__name__: part
    for part in vars(torch.optim).values()
    if isinstance(part, type) and part not in (torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)
}

PARAMETERS: dict[str, Role] = {
    "framework": part_of(FRAMEWORKS, Supervised),
    "loss": part_of(LOSSES, "auto", objects=True),
    "encoder": part_of(ENCODERS, "auto"),
    "views": part_of(VIEWS, "auto", objects=True),
    "modality": part_of(MODALITIES, "auto"),
    "optimizer": part_of(OPTIMIZERS, "auto", MomentumSGD, *TORCH_OPTIMIZERS.values()),
    "lr_schedule": part_of(LR_SCHEDULES),
    "positives": one_of("views", "labels"),
    "freeze": either(one_of("none", "all"), COUNT),
    "projection_dim": either(AUTO, SIZE),
    "max_epochs": either(AUTO, COUNT),
    "batch_size": either(AUTO, COUNT),
    "chunk_size": either(NONE, COUNT),
    "learning_rate": either(AUTO, number(0)),
    "weight_decay": either(AUTO, number(0)),
    "warmup_epochs": either(AUTO, number(0)),
    "device": device,
    "precision": one_of("auto", "float32", "bfloat16", "float16"),
    "compile": FLAG,
    "validation_fraction": either(AUTO, SHARE),
    "early_stopping": either(FLAG, COUNT),
    "passthrough": either(AUTO, FLAG),
    "warm_start": FLAG,
    "checkpoint_minutes": number(0),
    "on_interrupt": one_of("raise", "keep"),
    "random_state": either(NONE, whole(0, 2**32 - 1)),
    "verbose": either(FLAG, COUNT),
    "callbacks": never,
    "checkpoint_dir": never,
    "net_params": never,
}

ARGUMENTS: dict[str, Role] = {
    # Sizes of networks.
    "cardinalities": several(SIZE, 2**24),
    "expansion": number(0, 2**10),
    "gaps": several(FLAG, 2**24),
    "hidden_dim": either(NONE, SIZE),
    "kernel_size": whole(1, 2**12),
    "n_blocks": DEPTH,
    "n_classes": SIZE,
    "n_heads": whole(1, 2**10),
    "n_layers": DEPTH,
    "n_prototypes": SIZE,
    "out_features": SIZE,
    "patch_size": either(NONE, SIZE),
    "projection_dim": SIZE,
    "queue_size": whole(0, 2**24),
    "stem": one_of("auto", "cifar", "imagenet"),
    "width": SIZE,
    # Tensors that they begin with.
    "table": either(NONE, tensor),
    "token_weights": either(NONE, tensor),
    # Other settings of encoders, frameworks and losses.
    "bias": number(),
    "center_decay": SHARE,
    "covariance_weight": number(),
    "decay": SHARE,
    "distance": one_of("cosine", "euclidean"),
    "dropout": SHARE,
    "epsilon": number(),
    "final_teacher_temperature": number(),
    "freeze_until": number(),
    "invariance_weight": number(),
    "loss": object_of(LOSSES),
    "margin": number(),
    "mining": one_of("all", "semi_hard", "hard"),
    "norm_weight": number(),
    "queue_start": number(),
    "redundancy_weight": number(),
    "symmetric": FLAG,
    "teacher_temperature": number(),
    "temperature": number(),
    "trainable": either(one_of("none", "all"), DEPTH),
    "variance_weight": number(),
    # Views.
    "blur": RATE,
    "blur_sigma": PAIR,
    "brightness": number(),
    "channel_mask": SHARE,
    "contrast": number(),
    "crop": PAIR,
    "crop_ratio": PAIR,
    "crop_scale": either(AUTO, PAIR),
    "deletion": SHARE,
    "flip": either(AUTO, SHARE),
    "frequency_mask": SHARE,
    "gain": number(),
    "grey": SHARE,
    "hue": number(),
    "jitter": number(),
    "jitter_probability": SHARE,
    "local_scale": PAIR,
    "local_size": either(NONE, whole(1, 2**9)),
    "magnitude_warp": number(0, 100),
    "n_local_views": whole(0, 32),
    "n_neighbors": whole(1, 2**12),
    "n_views": whole(1, 32),
    "noise": SHARE,
    "on_top": either(AUTO, object_of(VIEWS)),
    "rate": RATE,
    "reverb": SHARE,
    "reverb_seconds": several(number(0, 60), 2),
    "rotation": either(AUTO, number()),
    "saturation": number(),
    "scaling": number(),
    "segments": whole(1, 2**12),
    "shift": SHARE,
    "shuffle": whole(0, 2**20),
    "snr": PAIR,
    "solarize": RATE,
    "span": SHARE,
    "speed": number(),
    "time_mask": SHARE,
    "time_warp": number(0, 100),
    "translation": number(),
    "vertical_flip": SHARE,
    "view_seconds": either(AUTO, number(0)),
    # Modalities and tokenizers; their sizes are held against what was learned.
    "categorical_features": either(NONE, one_of("from_dtype"), chosen_columns),
    "channel_axis": one_of(None, 1, -1),
    "channels": either(NONE, SIZE),
    "dynamic_range": number(1, 1e3),
    "hop": number(1e-6, 1e6),
    "ids_per_word": whole(1, 2**8),
    "image_shape": either(NONE, several(SIZE, 3)),
    "max_categories": whole(2, 2**31),
    "max_frequency": either(NONE, number(0)),
    "max_pieces": whole(1, 2**31),
    "max_seconds": either(NONE, number(0)),
    "max_tokens": whole(1, 2**20),
    "min_frequency": number(0),
    "n_mels": whole(1, 2**14),
    "ngram_range": several(whole(1, 2**10), 2),
    "normalize_level": FLAG,
    "rgb": either(AUTO, FLAG),
    "sampling_rate": either(NONE, number(1, 1e6)),
    "size": either(NONE, several(SIZE, 2)),
    "window": number(1e-6, 1e6),
    # What reads from elsewhere, and functions.
    "features": never,
    "model": never,
    "pretrained": never,
    "tokenizer": tokenizer,
}

ENTRIES: dict[str, Mapping[str, Role]] = {
    "encoder_params": ARGUMENTS,
    "framework_params": ARGUMENTS,
    "loss_params": ARGUMENTS,
    "modality_params": ARGUMENTS,
    "optimizer_params": {},
    "views_params": ARGUMENTS,
}
