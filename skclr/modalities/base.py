"""How a modality reads X: the one place that knows what the user's array looks like."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor, nn


class Modality(ABC):
    """A way to read X into tensors.

    Attributes
    ----------
    encoder, views : names of the defaults.
    passthrough : whether `transform` gives the inputs beside the embedding unless told otherwise.
    shape_ : shape of one sample as an encoder sees it; set by the first `read`.
    """

    encoder: ClassVar[str]
    views: ClassVar[str]
    passthrough: ClassVar[bool] = False
    shape_: tuple[int, ...]

    @abstractmethod
    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> np.ndarray:
        """Check X and give it as one host array, without a copy where that is possible.

        Parameters
        ----------
        X : what the user passed.
        estimator : on which scikit-learn's validation records the features and whom errors name.
        reset : True learns shape and statistics from X, False holds X against what was learned.

        Returns
        -------
        (n, ...) array that takes index arrays.

        Raises
        ------
        ValueError, TypeError : where X cannot be read; the message says what to do.
        """

    @abstractmethod
    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Take a slice of what `read` gave to float32 (B, *shape_)."""

    def preprocessing(self) -> nn.Module:
        """Give the fixed first layer of the encoder, between views and network."""
        return nn.Identity()


def check_finite(X: np.ndarray, names: Any = None) -> None:
    """Raise a ValueError that names the first NaN or infinity of X by its place."""
    if X.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        # One sum tells in most cases, and needs no array of X's size.
        if np.isfinite(X.sum(dtype=np.float64)) or np.isfinite(X).all():
            return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(X))[0])
    what = "NaN" if np.isnan(X[place]) else "infinity"
    column = f"column {place[1]}" if X.ndim == 2 else f"index {place[1:]}"
    name = f" ({names[place[1]]!r})" if names is not None and X.ndim == 2 else ""
    raise ValueError(
        f"Input X contains {what} in row {place[0]}, {column}{name}: "
        "fill or drop such values first, for example with sklearn.impute.SimpleImputer"
    )


def check_two_samples(X: np.ndarray) -> None:
    """Raise a ValueError where there is nothing to contrast a sample with."""
    if len(X) < 2:
        raise ValueError(f"X has {len(X)} sample(s) (n_samples={len(X)}): fit needs 2 or more to contrast")
