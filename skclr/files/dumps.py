"""Pickles and joblib dumps of estimators, which refer to code and can be read only by the version that wrote them."""

from __future__ import annotations

from typing import Any

from skclr._version import __version__

_VERSION = "_skclr_version"


def with_version(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator together with the version of skclr."""
    # A new dictionary, since another thread may fit the estimator while it is written.
    return {**state, _VERSION: __version__}


def without_version(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator from the result of `with_version`.

    Raises
    ------
    ValueError : if it was written by another version.
    """
    version = state.get(_VERSION)
    if version != __version__:
        raise ValueError(message(f"version {version}" if version else "an earlier version"))
    return {name: value for name, value in state.items() if name != _VERSION}


def message(version: str) -> str:
    """Return the error message for a dump of another version."""
    return (
        f"This pickle or joblib dump was written by {version} of skclr, and cannot be read by {__version__}. Load it "
        "with that version, call its save(path), and read that file with skclr.load(path)."
    )
