"""How a modality reads X: the one place that knows what the user's array looks like."""

from __future__ import annotations

import copy
import inspect
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, get_type_hints

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skclr.data.columns import is_missing
from skclr.data.stored import Joined, Stored
from skclr.files.plain import Plain
from skclr.views import VIEWS

# Of one sample: an hour of audio, or an image of 67 megapixels. A stranger's model asks for no more memory than that.
LARGEST_SAMPLE = 2**26


class Modality(Plain, ABC):
    """A way to read X into tensors.

    In a tensor of floats NaN is what is not there: a missing value, the end of a series that others outlast. Settings
    are kept under their names and what was learned in annotated attributes, for files: see `skclr.files.plain.Plain`.

    Attributes
    ----------
    encoder, views, passthrough : defaults: names of the encoder and of the view maker, and whether `transform` returns
        the plain features beside the embedding. The last two may follow from what was read.
    told_by : name of a parameter that no other modality has, by which `modality="auto"` knows this one.
    sample_types : types of samples that no other modality takes; arrays of numbers are told apart by their shapes.
    loss_params : arguments of default losses, by the names of these.
    batch_size, most_epochs : what "auto" is at most.
    n_steps : optimiser steps that `max_epochs="auto"` spends.
    embedding_weight : variance of the embedding, in that of the plain features that it stands beside.
    few_rows : up to so many rows a network learns from the plain features by default, and not from the samples.
    any_length : whether `features` takes samples shorter than those of the fit.
    prepare : takes samples of `to_tensor` to samples as views and networks see them, on the device and without
        gradients; None where they are the same.
    shape_ : shape of one sample as views see it; set by the first `read`.
    """

    encoder: ClassVar[str]
    told_by: ClassVar[str | None] = None
    sample_types: ClassVar[tuple[type, ...]] = ()
    loss_params: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    batch_size: ClassVar[int] = 256
    most_epochs: ClassVar[int] = 100
    n_steps: ClassVar[int] = 1_500
    embedding_weight: ClassVar[float] = 1.0
    few_rows: ClassVar[int] = 0
    any_length: bool = False
    prepare: ClassVar[Callable[[Any, Tensor], Tensor] | None] = None
    shape_: tuple[int, ...]

    @property
    @abstractmethod
    def views(self) -> str:
        """Return the name of the default views."""

    @property
    def views_params(self) -> Mapping[str, Any]:
        """Return arguments of the default views."""
        return {}

    @property
    def passthrough(self) -> bool:
        """Return whether plain features are beside the embedding by default."""
        return False

    @property
    def base_modality(self) -> Modality:
        """Return the modality that reads X: itself, where it does not stand on the features of another."""
        return self

    @abstractmethod
    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """Check X and give its rows on the host, without a copy where that is possible.

        Parameters
        ----------
        X : what the user passed, `opened`.
        estimator : on which scikit-learn's validation records the features and whom errors name.
        reset : True learns shape and statistics from X, False holds X against what was learned.

        Returns
        -------
        An array (n, ...), or what has its length, takes index arrays and says by `shape` what it would be as one.

        Raises
        ------
        ValueError, TypeError : where X cannot be read; the message says what to do.
        """

    def read_as(self, X: Any, estimator: BaseEstimator, learned: Self, names: Any) -> Any:
        """Learn from X as `read` does, but keep what categories, tokens and pixels mean to a trained encoder.

        Statistics are learned anew. By default nothing is kept: to most encoders a number is a number.

        Parameters
        ----------
        X, estimator : as for `read`.
        learned : modality that read what the encoder was trained on.
        names : of its columns; None if they had none.

        Raises
        ------
        ValueError : if X cannot mean the same to the encoder.
        """
        return self.read(X, estimator, reset=True)

    def shortened(self, rows: Any) -> Any:
        """Return what `read` returned, padded no longer than its own samples need, if views ignore the padding."""
        return rows

    @abstractmethod
    def to_tensor(self, rows: Any) -> Tensor:
        """Take a slice of what `read` gave to (B, *shape_), float32 or, where samples are tokens, int64."""

    def join(self, rows: Any, more: Any) -> Any:
        """Put rows of two calls of `read` into one."""
        if isinstance(rows, Stored) or isinstance(more, Stored):
            return Joined(rows, more)
        return np.concatenate([rows, more])

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """See `Plain.from_state`."""
        # Earlier versions wrote `views` and `passthrough` beside what they follow from.
        if state.get("views", "neighbors") not in VIEWS:
            raise ValueError(f"views={state['views']!r} is unknown")
        return super().from_state({name: v for name, v in state.items() if name not in ("views", "passthrough")})

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        missing = [name for name in get_type_hints(type(self)) if not hasattr(self, name)]
        if missing:
            raise ValueError(f"{', '.join(missing)} is missing")
        if not self.shape_ or min(self.shape_) < 1 or math.prod(self.shape_) > LARGEST_SAMPLE:
            raise ValueError(f"samples of shape {self.shape_} are empty, or larger than {LARGEST_SAMPLE:,} values")

    def example(self) -> Tensor:
        """Return two empty samples, as `to_tensor` would; of the second there is as little as can be of any."""
        return torch.zeros(2, *self.shape_)

    def preprocessing(self) -> nn.Module:
        """Return the fixed first layer of the encoder, between views and network."""
        return nn.Identity()

    def reader(self) -> tuple[nn.Module, Tensor]:
        """Return what `read` and `to_tensor` do, checks aside, as a layer, for networks that leave Python.

        Returns
        -------
        The layer, and two samples (2, ...) as tensors that it takes.

        Raises
        ------
        ValueError : where X holds what no tensor does; the message says what.
        """
        raise ValueError(f"modality={type(self).__name__} has no reader() that an exported network could begin with")

    def features(self, x: Tensor) -> Tensor:
        """Return the plain features of samples: the baseline of an embedding, and where neighbours are looked for.

        Parameters
        ----------
        x : (B, *shape_), as `to_tensor` makes it.

        Returns
        -------
        (B, n_features) float32 without NaN.
        """
        return x.flatten(1)

    def n_features(self) -> int:
        """Return the number of plain features, without computing any."""
        with torch.device("meta"):
            plan = self.on_meta()
            return plan.features(plan.example()).shape[1]

    def on_meta(self) -> Self:
        """Return a copy whose tensors have shapes but no values, and take no memory."""
        return _on_meta(self)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def restore(self, x: Tensor, X: Any) -> Any:
        """Take samples, or views of them, back to what a person would look at.

        Parameters
        ----------
        x : (B, *shape), as `to_tensor` or a view maker makes them.
        X : the rows of the user's X that they were made of.

        Returns
        -------
        Of length B: images (B, H, W) or (B, H, W, C), series (B, C, T), spectrograms (B, n_mels, frames), values
        (B, d) as objects, texts as lists of tokens.
        """
        return x.cpu().numpy()

    def facts(self) -> dict[str, Any]:
        """Return what encoders and view makers may ask to know of the data, by name.

        A class that wants one declares its name in `facts` and has an argument of that name in its constructor.
        """
        return {"features": self.features}


def _on_meta(part: Any) -> Any:
    """Return a copy of a plain part, and of the parts that it holds, whose tensors have no values."""
    if isinstance(part, Tensor):
        return part.to("meta")
    if not isinstance(part, Plain):
        return part
    plan = copy.copy(part)
    vars(plan).update({name: _on_meta(value) for name, value in vars(part).items()})
    return plan


def first_sample(X: Any) -> Any:
    """Return the first sample of a sequence that is not missing; None if X is no sequence of samples."""
    if isinstance(X, str | bytes | os.PathLike):
        # One that should have been a list of them, which the modality says.
        return X
    # A Series of polars has no number of dimensions, nor has a column that is no Series.
    is_sequence = isinstance(X, list | tuple) or (getattr(X, "ndim", 0) == 1 and hasattr(X, "__getitem__"))
    if is_sequence or (hasattr(X, "to_list") and not hasattr(X, "columns")):
        return next((sample for sample in X if not is_missing(sample)), None)
    return None


def check_finite(X: Any, names: Any = None, *, allow_nan: bool = False) -> None:
    """Raise a ValueError that names the first infinity of X, or NaN where it is not allowed, by its place."""
    values = X.data if issparse(X) else X
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        # One sum tells in most cases, and needs no array of X's size.
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    wrong = np.isinf(values) if allow_nan else ~np.isfinite(values)
    if not wrong.any():
        return
    if issparse(X):
        raise ValueError("Input X contains NaN or infinity: fill or drop such values first")
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    what = "NaN" if np.isnan(X[place]) else "infinity"
    column = f"column {place[1]}" if X.ndim == 2 else f"index {place[1:]}"
    name = f" ({names[place[1]]!r})" if names is not None and X.ndim == 2 else ""
    remedy = "" if what == "infinity" else ", for example with sklearn.impute.SimpleImputer"
    raise ValueError(
        f"Input X contains {what} in row {place[0]}, {column}{name}: fill or drop such values first{remedy}"
    )


def check_no_dates(X: Any) -> None:
    """Raise a ValueError for a polars DataFrame with dates or durations, which numpy converts to numbers."""
    if any(getattr(dtype, "is_temporal", bool)() for dtype in getattr(X, "dtypes", ())):
        raise ValueError("X holds dates or durations where numbers are needed: convert them first")


def check_two_samples(X: Any, caller: str = "fit needs", remedy: str = "") -> None:
    """Raise a ValueError where there is nothing to contrast a sample with."""
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_samples < 2:
        raise ValueError(f"X has {n_samples} sample(s) (n_samples={n_samples}): {caller} 2 or more to contrast{remedy}")


def unmasked(X: Any) -> Any:
    """Return a masked array as a plain one, with NaN where it is masked; return anything else as it is.

    Masked whole numbers become float64, because an integer dtype has no NaN. In an array of objects or strings None
    marks what was masked.
    """
    if not isinstance(X, np.ma.MaskedArray):
        return X
    mask = np.ma.getmaskarray(X)
    values = np.asarray(X.data)
    if not mask.any():
        return values
    if values.dtype.kind in "biu":
        values = values.astype(np.float64)
    if values.dtype.kind in "fcmM":
        return np.where(mask, np.array("NaT" if values.dtype.kind in "mM" else np.nan, values.dtype), values)
    objects = values.astype(object)
    objects[mask] = None
    return objects


def check_unmasked(X: Any, reason: str) -> None:
    """Raise a ValueError if something is masked in X, an array or a list of arrays, where NaN has no meaning."""
    for samples in X if isinstance(X, list | tuple) else [X]:
        if isinstance(samples, np.ma.MaskedArray) and np.ma.is_masked(samples):
            raise ValueError(f"X has masked values, but {reason}. Fill them first, for example with X.filled(0).")
