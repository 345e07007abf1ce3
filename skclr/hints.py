"""Did you mean: the parameter, or the part, that an unknown name stands for."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from skclr.encoders import ENCODERS
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES
from skclr.training import OPTIMIZERS
from skclr.views import VIEWS

# A parameter that several parts have is first looked for in the first of them.
REGISTRIES: dict[str, Mapping[str, Any]] = {
    "loss": LOSSES,
    "modality": MODALITIES,
    "framework": FRAMEWORKS,
    "encoder": ENCODERS,
    "views": VIEWS,
    "optimizer": OPTIMIZERS,
}

# What other libraries call parameters of the estimator.
_ALIASES = {
    "lr": "learning_rate",
    "n_epochs": "max_epochs",
    "max_iter": "max_epochs",
    "backbone": "encoder",
    "model": "encoder",
    "method": "framework",
    "criterion": "loss",
    "augmentation": "views",
    "augmentations": "views",
    "transform": "views",
    "transforms": "views",
    "scheduler": "lr_schedule",
    "seed": "random_state",
    "train_split": "validation_fraction",
}


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, case, hyphens and spaces apart; None where none is alike."""
    squeezed = {re.sub("[^a-z0-9]", "", other.lower()): other for other in known}
    near = difflib.get_close_matches(re.sub("[^a-z0-9]", "", name.lower()), squeezed, n=1, cutoff=0.7)
    return squeezed[near[0]] if near else None


def hint(name: str, parameters: Iterable[str], argument: str = "", own: Iterable[str] = ()) -> str:
    """Return what an unknown parameter may have been meant for, and how to set it; "" where nothing is alike.

    Parameters
    ----------
    name : the unknown parameter.
    parameters : those of the estimator.
    argument : the estimator's parameter whose part was to take it; "" for the estimator itself.
    own : what that part takes.
    """
    name, parameters = str(name), list(parameters)
    if near := nearest_name(name, own):
        return f"did you mean {near!r}?"
    known = _ALIASES.get(name, name)
    if known not in parameters and (place := _of_a_part(name, argument, alike=False)):
        return place
    if near := known if known in parameters else nearest_name(name, parameters):
        return f"set {near}, a parameter of the estimator" if argument else f"did you mean {near!r}?"
    return _of_a_part(name, argument, alike=True)


def _of_a_part(name: str, argument: str, *, alike: bool) -> str:
    """Return how to set the first parameter in the registries that has this name, or one that is alike."""
    for kind, registry in REGISTRIES.items():
        for part_name, part in registry.items():
            names = inspect.signature(part).parameters
            found = nearest_name(name, names) if alike else (name if name in names else None)
            if found is not None:
                choice = f"{kind}={part_name!r} with " if kind in (argument, "modality") else ""
                start = "set" if found == name else f"did you mean {found!r}? Set"
                return f"{start} {choice}{kind}_params={{{found!r}: ...}}"
    return ""
