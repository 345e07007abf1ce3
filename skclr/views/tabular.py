"""Views of table rows; NaN is a missing value, and categorical columns hold codes."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from skclr.data.indexing import check_lengths
from skclr.randomness import rand, randint, randn, shuffled
from skclr.views.base import Samples, Views, check_n_views

# Number of rows, and of values in them, from which the marginals of the training set are estimated.
_REFERENCE_ROWS = 65_536
_REFERENCE_NUMBERS = 2**26


class TableViews(Views):
    """Base class of views that change rows at a rate per view.

    Parameters
    ----------
    n_views : number of views.
    rate : strength of the change, one value for all views or one per view; 0 leaves a view unchanged.
    """

    def __init__(self, n_views: int = 2, rate: float | Sequence[float] = 0.3) -> None:
        check_n_views(n_views, least=1)
        rates, n_rates = ([rate], n_views) if isinstance(rate, int | float) else (rate, len(rate))
        if n_rates != n_views or not all(0 <= r <= 1 for r in rates):
            raise ValueError(f"rate={rate}: pass one number in [0, 1], or n_views={n_views} of them")
        self.n_views = n_views
        self.rate = rate

    def fit(self, samples: Samples) -> Self:
        """Check the samples; there is nothing to learn.

        Raises
        ------
        ValueError : if the samples are token ids, for which arithmetic is meaningless.
        """
        if not samples[np.arange(1)].is_floating_point():
            raise ValueError(f"{type(self).__name__} changes numbers, but samples are token ids. Choose views='text'.")
        return self

    def held_out(self, samples: Samples) -> Views:
        """Return the maker itself, which was fitted on the training rows."""
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return n_views views of (B, d) rows."""
        rates = [self.rate] * self.n_views if isinstance(self.rate, int | float) else self.rate
        return [self.change(x, rate, generator) if rate else x for rate in rates]

    def change(self, x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        """Return one view of (B, d) rows."""
        raise NotImplementedError


class MarginalCorruption(TableViews):
    """Replace random entries of a row by the entry of another training row in the same column.

    Parameters
    ----------
    n_views : number of views.
    rate : share of entries replaced, one value for all views or one per view.

    References
    ----------
    Bahri et al. 2022 (SCARF), algorithm 1. Differs: each entry is replaced with probability `rate` instead of replacing
    an exact number, and any view may be corrupted.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import MarginalCorruption
    >>> x = torch.randn(100, 4)
    >>> maker = MarginalCorruption(rate=(0.0, 0.5)).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> bool((views[0] == x).all()), bool((views[1] == x).all())
    (True, False)
    """

    def __init__(self, n_views: int = 2, rate: float | Sequence[float] = (0.0, 0.6)) -> None:
        super().__init__(n_views, rate)

    def fit(self, samples: Samples) -> Self:
        """Keep rows from whose columns replacements are drawn."""
        n_columns = samples[np.arange(1)].shape[1]
        n_rows = max(2, min(_REFERENCE_ROWS, _REFERENCE_NUMBERS // n_columns))
        step = max(1, len(samples) // n_rows)
        self.reference_ = samples[np.arange(0, len(samples), step)]
        return self

    def release(self) -> None:
        """Drop references to the training rows."""
        del self.reference_

    def change(self, x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        """Return one view of (B, d) rows."""
        donors = randint(len(self.reference_), x.shape, generator)
        replaced = rand(x.shape, generator) < rate
        return torch.where(replaced, self.reference_.gather(0, donors), x)


class Masking(TableViews):
    """Set random entries to missing.

    Parameters
    ----------
    n_views : number of views.
    rate : share of entries that are masked, one value for all views or one per view.

    References
    ----------
    Yoon et al. 2020 (VIME), sec. 4. Differs: masked entries become NaN instead of draws from the marginals, for which
    see `MarginalCorruption`.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import Masking
    >>> x = torch.randn(100, 4)
    >>> maker = Masking(rate=(0.0, 1.0)).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> bool((views[0] == x).all()), bool(views[1].isnan().all())
    (True, True)
    """

    def change(self, x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        """Return one view of (B, d) rows."""
        masked = rand(x.shape, generator) < rate
        return x.masked_fill(masked, torch.nan)


class Jitter(TableViews):
    """Add noise to the numeric columns.

    Parameters
    ----------
    n_views : number of views.
    rate : standard deviation of the noise relative to that of the column, one value for all views or one per view.
    cardinalities : number of categories of each column, 0 for a numeric column; empty if all are numeric.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import Jitter
    >>> x = torch.randn(100, 4)
    >>> maker = Jitter(rate=(0.0, 0.3)).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> bool((views[0] == x).all()), bool((views[1] == x).all())
    (True, False)
    """

    facts = ("cardinalities",)

    def __init__(
        self, n_views: int = 2, rate: float | Sequence[float] = 0.3, cardinalities: Sequence[int] = ()
    ) -> None:
        super().__init__(n_views, rate)
        self.cardinalities = cardinalities

    def change(self, x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        """Return one view of (B, d) rows."""
        noise = rate * randn(x.shape, generator)
        return x + noise * numeric_columns(x, self.cardinalities)


class Mixup(TableViews):
    """Mix each row with another of the batch: a weighted mean of numbers, a random choice of categories.

    Parameters
    ----------
    n_views : number of views.
    rate : largest weight of the other row, one value for all views or one per view.
    cardinalities : number of categories of each column, 0 for a numeric column; empty if all are numeric.

    References
    ----------
    Somepalli et al. 2021 (SAINT), sec. 3.2, after Zhang et al. 2018. Differs: mixes the standardised columns instead of
    the output of a first layer, which is equivalent if that layer is linear; a category is taken from one row or the
    other.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import Mixup
    >>> x = torch.randn(100, 4)
    >>> maker = Mixup(rate=(0.0, 0.3)).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> bool((views[0] == x).all()), bool((views[1] == x).all())
    (True, False)
    """

    facts = ("cardinalities",)

    def __init__(
        self, n_views: int = 2, rate: float | Sequence[float] = (0.0, 0.3), cardinalities: Sequence[int] = ()
    ) -> None:
        super().__init__(n_views, rate)
        self.cardinalities = cardinalities

    def change(self, x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        """Return one view of (B, d) rows."""
        other = shuffled(x, generator)
        weight = rate * rand((len(x), *[1] * (x.ndim - 1)), generator)
        taken = torch.where(rand(x.shape, generator) < weight, other, x)
        return torch.where(numeric_columns(x, self.cardinalities), torch.lerp(x, other, weight), taken)


def numeric_columns(x: Tensor, cardinalities: Sequence[int]) -> Tensor:
    """Return (d,) bool, whether each column of (B, d) is numeric; a single True if all are."""
    if not cardinalities:
        return torch.ones((), dtype=torch.bool, device=x.device)
    check_lengths(x.shape[1], cardinalities=cardinalities)
    return torch.tensor(cardinalities, device=x.device) == 0
