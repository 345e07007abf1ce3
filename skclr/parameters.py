"""`part__name`: the parameters of the parts, reached through the estimator's own."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Self

from sklearn.base import BaseEstimator

from skclr.hints import REGISTRIES, hint

PARTS = (*REGISTRIES, "net")


class PartParameters(BaseEstimator):
    """An estimator whose `<part>_params` dictionaries are read and written entry by entry.

    `loss__temperature` is the entry `temperature` of `loss_params`, so that a grid reaches into a part
    while the part itself stays a plain name.
    """

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Raise a TypeError that says what an unknown parameter may have been meant for."""
        known = inspect.signature(cls.__init__).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            cls._check_known(params, [*known][1:], TypeError)
        return super().__new__(cls)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, with `deep` also the entries `part__name` of the parts' dictionaries."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for part in PARTS:
                entries = params[f"{part}_params"]
                # Anything may have been set; `fit` tells what is wrong with it.
                for name, value in entries.items() if isinstance(entries, Mapping) else ():
                    params[f"{part}__{name}"] = value
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; `part__name` writes a new dictionary and leaves the old one as it was."""
        entries: dict[str, dict[str, Any]] = defaultdict(dict)
        for key in list(params):
            part, separator, name = key.partition("__")
            if separator and part in PARTS:
                entries[f"{part}_params"][name] = params.pop(key)
        names = [key.partition("__")[0] for key in params]
        self._check_known(names, list(super().get_params(deep=False)), ValueError)
        super().set_params(**params)
        for attribute, values in entries.items():
            setattr(self, attribute, {**(getattr(self, attribute) or {}), **values})
        return self

    @classmethod
    def _check_known(cls, names: Iterable[str], known: list[str], error: type[Exception]) -> None:
        for name in names:
            if name not in known:
                remedy = hint(name, known) or f"valid parameters are {', '.join(known)}"
                raise error(f"Invalid parameter {name!r} for estimator {cls.__name__}: {remedy}")
