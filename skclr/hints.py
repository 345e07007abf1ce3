"""Suggestions for unknown names of parameters and parts."""

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

# If several parts have a parameter, the first registry takes precedence.
REGISTRIES: dict[str, Mapping[str, Any]] = {
    "loss": LOSSES,
    "modality": MODALITIES,
    "framework": FRAMEWORKS,
    "encoder": ENCODERS,
    "views": VIEWS,
    "optimizer": OPTIMIZERS,
}

# Names in other libraries, and the parameter of the estimator that they correspond to.
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
    """Return the known name most similar to `name`, ignoring case, hyphens and spaces; None if none is similar."""
    squeezed = {re.sub("[^a-z0-9]", "", other.lower()): other for other in known}
    near = difflib.get_close_matches(re.sub("[^a-z0-9]", "", name.lower()), squeezed, n=1, cutoff=0.7)
    return squeezed[near[0]] if near else None


def hint(name: str, parameters: Iterable[str], argument: str = "", own: Iterable[str] = ()) -> str:
    """Return a suggestion for an unknown parameter, and how to set it; "" if nothing is similar.

    Parameters
    ----------
    name : the unknown parameter.
    parameters : parameters of the estimator.
    argument : the estimator's parameter of the part that received it; "" for the estimator itself.
    own : parameters of that part.
    """
    name, parameters = str(name), list(parameters)
    if near := nearest_name(name, own):
        return f"did you mean {near!r}?"
    known = _ALIASES.get(name, name)
    if known not in parameters and (place := _suggest_part(name, argument, similar=False)):
        return place
    if near := known if known in parameters else nearest_name(name, parameters):
        return f"set {near}, a parameter of the estimator" if argument else f"did you mean {near!r}?"
    return _suggest_part(name, argument, similar=True)


def _suggest_part(name: str, argument: str, *, similar: bool) -> str:
    """Return how to set the first parameter in the registries with this name, or a similar one."""
    for kind, registry in REGISTRIES.items():
        for part_name, part in registry.items():
            names = inspect.signature(part).parameters
            found = nearest_name(name, names) if similar else (name if name in names else None)
            if found is not None:
                choice = f"{kind}={part_name!r} with " if kind in (argument, "modality") else ""
                start = "set" if found == name else f"did you mean {found!r}? Set"
                return f"{start} {choice}{kind}_params={{{found!r}: ...}}"
    return ""
