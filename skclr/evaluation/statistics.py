"""Confidence intervals and tests over draws, seeds and folds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Difference(NamedTuple):
    """A mean difference, its interval and the two-sided p-value."""

    mean: float
    low: float
    high: float
    p_value: float


def confidence_interval(scores: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return Student's confidence interval of the mean.

    Parameters
    ----------
    scores : scores of independent repetitions.
    level : level of confidence.

    Returns
    -------
    Lower and upper bound; NaN for one score.

    Examples
    --------
    >>> from skclr.evaluation import confidence_interval
    >>> low, high = confidence_interval([0.81, 0.85, 0.83, 0.84])
    >>> f"{low:.2f} to {high:.2f}"
    '0.81 to 0.86'
    """
    values = np.asarray(scores, dtype=float)
    if len(values) < 2:
        return float("nan"), float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    half = error * stats.t.ppf((1 + level) / 2, len(values) - 1)
    return float(values.mean() - half), float(values.mean() + half)


def corrected_t_test(
    differences: Sequence[float] | np.ndarray, test_share: float, *, level: float = 0.95, n_tests: int = 1
) -> Difference:
    """Test whether a mean difference over resamples of one data set is zero.

    Parameters
    ----------
    differences : (k,) score of one minus score of the other, for each resample.
    test_share : test rows per training row, 1 / 4 in a 5-fold cross-validation.
    level : level of confidence of all tests together.
    n_tests : number of tests, for Bonferroni's correction: more tests make intervals wider and p-values larger.

    Returns
    -------
    Mean, interval and p-value, which agree: p ≤ 1 - level if the interval excludes 0.

    References
    ----------
    Nadeau & Bengio 2003, sec. 5: the resamples share training rows, so their plain variance is too small. Differs:
    none.

    Examples
    --------
    >>> from skclr.evaluation import corrected_t_test
    >>> found = corrected_t_test([0.05, 0.04, 0.06, 0.05, 0.03], test_share=1 / 4)
    >>> f"{found.mean:.3f}, {found.low:.3f} to {found.high:.3f}, p = {found.p_value:.3f}"
    '0.046, 0.025 to 0.067, p = 0.004'
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2:
        raise ValueError(f"{len(values)} resample(s) have no variance. Pass 2 or more, for example cv=5.")
    mean, degrees = values.mean(), len(values) - 1
    error = np.sqrt((1 / len(values) + test_share) * values.var(ddof=1))
    half = error * stats.t.ppf(1 - (1 - level) / (2 * n_tests), degrees)
    p_value = 2 * stats.t.sf(abs(mean) / error, degrees) if error else float(mean == 0)
    return Difference(float(mean), float(mean - half), float(mean + half), float(min(1.0, n_tests * p_value)))
