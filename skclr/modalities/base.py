"""The base class of modalities, which read X: only they know the layout of the user's array."""

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

# Values per sample: an hour of audio, or an image of 67 megapixels. It bounds the memory that an untrusted file can ask
# for.
LARGEST_SAMPLE = 2**26


class Modality(Plain, ABC):
    """Base class of modalities, which read X into tensors.

    In tensors of floats, NaN marks what is absent: a missing value, or the steps after the end of a shorter series.
    For saving, settings are stored under their names and learned values in annotated attributes: see
    `skclr.files.plain.Plain`.

    Attributes
    ----------
    encoder, views, passthrough : defaults: names of the encoder and of the view maker, and whether `transform` appends
        the plain features to the embedding. The last two may depend on the data.
    told_by : name of a parameter that no other modality has; if it is passed, `modality="auto"` chooses this
        modality.
    sample_types : types of samples that no other modality takes; arrays of numbers are distinguished by their shapes.
    loss_params : arguments of default losses, by loss name.
    smallest_batch_size, batch_size : limits of `batch_size="auto"`, which grows with the number of samples.
    most_epochs : largest value of `max_epochs="auto"`.
    n_steps : optimiser steps of `max_epochs="auto"` at batches of `batch_size`; smaller ones take more.
    embedding_weight : variance of the embedding, relative to that of the plain features appended to it.
    even_features : whether all plain features have the same variance. If so, the columns of the embedding have it too,
        and their number determines its weight, which a StandardScaler then does not change.
    weighed_by_score : whether a label-free score of the default views decides how much of that weight is used.
    sparse_features : whether the rows that `read` returns are the plain features, as a sparse matrix.
    few_rows : up to this number of rows, networks learn from the plain features by default instead of the samples. It
        may depend on the settings.
    components_of_features, neighbors_among_features : number of principal components of the plain features from which
        networks learn, and number of near neighbours among them that are views.
    any_length : whether `features` takes samples shorter than those of the fit.
    prepare : converts samples from `to_tensor` to samples as views and networks see them, on the device and without
        gradients; None if they are the same.
    shape_ : shape of one sample as views see it; set by the first `read`.
    """

    encoder: ClassVar[str]
    told_by: ClassVar[str | None] = None
    sample_types: ClassVar[tuple[type, ...]] = ()
    loss_params: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    smallest_batch_size: ClassVar[int] = 256
    batch_size: ClassVar[int] = 256
    most_epochs: ClassVar[int] = 100
    n_steps: ClassVar[int] = 1_500
    embedding_weight: ClassVar[float] = 1.0
    weighed_by_score: ClassVar[bool] = False
    few_rows: int = 0
    components_of_features: ClassVar[int] = 64
    neighbors_among_features: ClassVar[int] = 5
    even_features: bool = False
    sparse_features: bool = False
    any_length: bool = False
    prepare: ClassVar[Callable[[Any, Tensor], Tensor] | None] = None
    shape_: tuple[int, ...]

    @property
    @abstractmethod
    def views(self) -> str:
        """Return the name of the default views."""

    @property
    def views_params(self) -> Mapping[str, Any]:
        """Return the arguments of the default views."""
        return {}

    @property
    def passthrough(self) -> bool:
        """Return whether the plain features are appended to the embedding by default."""
        return False

    @property
    def base_modality(self) -> Modality:
        """Return the modality that reads X: self, unless this one is based on the features of another."""
        return self

    @property
    def kind(self) -> type[Modality]:
        """Return the class that users choose to read X in this way."""
        return type(self)

    @property
    def source_of_features(self) -> Modality:
        """Return the unfitted modality from whose plain features networks learn; it may read X in another way."""
        return self

    def raw(self) -> Modality:
        """Return the modality with the values of samples as its plain features, where maps of them are the default."""
        return self

    @abstractmethod
    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """Check X and return its rows in host memory, without a copy if possible.

        Parameters
        ----------
        X : what the user passed, opened by `Rows.of` if it was a path.
        estimator : scikit-learn's validation records the features on it, and errors name it.
        reset : True learns shape and statistics from X; False checks X against what was learned.

        Returns
        -------
        Array (n, ...), or an object that has its length and its `shape` and takes index arrays.

        Raises
        ------
        ValueError, TypeError : if X cannot be read; the message says what to do.
        """

    def read_as(self, X: Any, estimator: BaseEstimator, learned: Self, names: Any) -> Any:
        """Learn from X as `read` does, but keep the codes of categories, tokens and pixels for a trained encoder.

        Statistics are learned again. By default nothing is kept, since plain numbers need no codes.

        Parameters
        ----------
        X, estimator : as for `read`.
        learned : modality that read the training data of the encoder.
        names : its column names; None if it had none.

        Raises
        ------
        ValueError : if X cannot have the same meaning to the encoder.
        """
        return self.read(X, estimator, reset=True)

    def shortened(self, rows: Any) -> Any:
        """Return the rows that `read` returned, without padding beyond their longest sample if views ignore it."""
        return rows

    @abstractmethod
    def to_tensor(self, rows: Any) -> Tensor:
        """Convert a slice of the rows to a tensor (B, *shape_), float32, or int64 if samples are tokens."""

    def join(self, rows: Any, more: Any) -> Any:
        """Return the rows of two calls of `read`, concatenated."""
        if isinstance(rows, Stored) or isinstance(more, Stored):
            return Joined(rows, more)
        return np.concatenate([rows, more])

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """See `Plain.from_state`."""
        # Earlier versions stored `views` and `passthrough`, although they follow from other attributes.
        if state.get("views", "neighbors") not in VIEWS:
            raise ValueError(f"views={state['views']!r} is unknown")
        return super().from_state({name: v for name, v in state.items() if name not in ("views", "passthrough")})

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        missing = [name for name in get_type_hints(type(self)) if not hasattr(self, name)]
        if missing:
            raise ValueError(f"the learned {', '.join(missing)} is missing")
        if not self.shape_ or min(self.shape_) < 1 or math.prod(self.shape_) > LARGEST_SAMPLE:
            raise ValueError(f"samples of shape {self.shape_} are empty or have more than {LARGEST_SAMPLE:,} values")

    def example(self) -> Tensor:
        """Return two blank samples in the format of `to_tensor`; the second is as short as a sample can be."""
        return torch.zeros(2, *self.shape_)

    def preprocessing(self) -> nn.Module:
        """Return the fixed first layer of the encoder, between views and network."""
        return nn.Identity()

    def reader(self) -> tuple[nn.Module, Tensor]:
        """Return `read` and `to_tensor` as a layer, without their checks, for exported networks.

        Returns
        -------
        The layer, and an example input: two samples (2, ...) as a tensor.

        Raises
        ------
        ValueError : if X holds what a tensor cannot hold; the message says what.
        """
        raise ValueError(f"{type(self).__name__} cannot be exported. Implement its reader().")

    def features(self, x: Tensor) -> Tensor:
        """Return the plain features of samples: the baseline of an embedding, and the space of neighbour searches.

        Parameters
        ----------
        x : (B, *shape_), as `to_tensor` returns it.

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

    def feature_names(self) -> list[str] | None:
        """Return the names of the plain features; None if they have none."""
        return None

    def on_meta(self) -> Self:
        """Return a copy with tensors on the meta device: they have shapes, but no values, and take no memory."""
        return _on_meta(self)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def restore(self, x: Tensor, X: Any) -> Any:
        """Convert samples, or views of them, back to a form for people.

        Parameters
        ----------
        x : (B, *shape), as `to_tensor` or a view maker returns them.
        X : the rows of the user's X that they come from.

        Returns
        -------
        A sequence of length B: images (B, H, W) or (B, H, W, C), series (B, C, T), spectrograms (B, n_mels, frames),
        values (B, d) as objects, or lists of tokens.
        """
        return x.cpu().numpy()

    def facts(self) -> dict[str, Any]:
        """Return the facts about the data that encoders and view makers can request, by name.

        A class requests a fact by its name in `facts`, and takes it as the constructor argument of that name.
        """
        return {"features": self.features}


def _on_meta(part: Any) -> Any:
    """Return a copy of a plain part, and of the parts that it holds, with tensors on the meta device."""
    if isinstance(part, Tensor):
        return part.to("meta")
    if not isinstance(part, Plain):
        return part
    plan = copy.copy(part)
    vars(plan).update({name: _on_meta(value) for name, value in vars(part).items()})
    return plan


def first_sample(X: Any) -> Any:
    """Return the first sample that is not missing; None if X is not a sequence of samples."""
    if isinstance(X, str | bytes | os.PathLike):
        # A single sample instead of a list: the modality raises the error.
        return X
    # Neither a polars Series nor a column of another library has ndim.
    is_sequence = isinstance(X, list | tuple) or (getattr(X, "ndim", 0) == 1 and hasattr(X, "__getitem__"))
    if is_sequence or (hasattr(X, "to_list") and not hasattr(X, "columns")):
        return next((sample for sample in X if not is_missing(sample)), None)
    return None


def check_finite(X: Any, names: Any = None, *, allow_nan: bool = False) -> None:
    """Raise a ValueError if X contains infinity, or NaN unless it is allowed; the message names the first one."""
    values = X.data if issparse(X) else X
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        # One sum decides in most cases, and needs no array of X's size.
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    wrong = np.isinf(values) if allow_nan else ~np.isfinite(values)
    if not wrong.any():
        return
    if issparse(X):
        raise ValueError("Input X contains NaN or infinity. Fill or drop such values first.")
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    what = "NaN" if np.isnan(X[place]) else "infinity"
    column = f"column {place[1]}" if X.ndim == 2 else f"index {place[1:]}"
    name = f" ({names[place[1]]!r})" if names is not None and X.ndim == 2 else ""
    remedy = "" if what == "infinity" else ", for example with sklearn.impute.SimpleImputer"
    raise ValueError(
        f"Input X contains {what} in row {place[0]}, {column}{name}. Fill or drop such values first{remedy}."
    )


def check_no_dates(X: Any) -> None:
    """Raise a ValueError for a polars DataFrame with dates or durations, which numpy converts to numbers."""
    if any(getattr(dtype, "is_temporal", bool)() for dtype in getattr(X, "dtypes", ())):
        raise ValueError("X holds dates or durations. Convert them to numbers first.")


def check_two_samples(X: Any, caller: str = "fit needs", remedy: str = "") -> None:
    """Raise a ValueError if X has fewer than two samples, since a sample is contrasted with others."""
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_samples < 2:
        raise ValueError(
            f"X has {n_samples} sample(s) (n_samples={n_samples}), but {caller} 2 or more to contrast{remedy}."
        )


def unmasked(X: Any) -> Any:
    """Return a masked array as a plain one, with NaN at masked entries; return anything else unchanged.

    Masked integers become float64, because integer dtypes have no NaN. In arrays of objects or strings, None marks
    masked entries.
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
    """Raise a ValueError if X, an array or a list of arrays, has masked entries, for data without NaN."""
    for samples in X if isinstance(X, list | tuple) else [X]:
        if isinstance(samples, np.ma.MaskedArray) and np.ma.is_masked(samples):
            raise ValueError(f"X has masked values, but {reason}. Fill them first, for example with X.filled(0).")
