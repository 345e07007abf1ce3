"""Verdicts on whether pretraining helped: an embedding compared with the best of its baselines, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from skclr.evaluation.statistics import Difference, corrected_t_test


class Verdict(NamedTuple):
    """Comparison of the best embedder with the best baseline, over all numbers of labels.

    Attributes
    ----------
    embedder, baseline : name of the embedder, and of the baseline, with the highest mean score.
    difference : mean, 95 % interval and p-value, corrected for the choice among the embedders.
    sentence : the result in words.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> few = {"labels_per_class": (5,), "n_draws": 1, "cv": 2, "embedder_params": {"max_epochs": 1}}
    >>> verdict = compare(X, y, ["simclr"], ["PCA"], **few).verdict
    >>> verdict.embedder, verdict.difference.low < verdict.difference.high
    ('simclr', True)
    """

    embedder: str
    baseline: str
    difference: Difference
    sentence: str

    @property
    def helped(self) -> bool:
        """Whether the interval is above zero."""
        return self.difference.low > 0


def best_of(scores: Mapping[str, np.ndarray], names: Iterable[str]) -> str:
    """Return the name with the highest mean score; the first of them if several are equal."""
    return max(names, key=lambda name: scores[name].mean())


def gain(
    scores: Mapping[str, np.ndarray], embedder: str, baseline: str, test_share: float, *, n_tests: int = 1
) -> Difference:
    """Test the difference between two rows of scores, by the corrected resampled t-test.

    Parameters
    ----------
    scores : (n_splits, ...) scores by name; each split counts by its mean.
    embedder, baseline : names; the difference is positive if the embedder scores higher.
    test_share, n_tests : as for `corrected_t_test`.
    """
    differences = scores[embedder] - scores[baseline]
    return corrected_t_test(differences.reshape(len(differences), -1).mean(1), test_share, n_tests=n_tests)


def effect(difference: Difference) -> str:
    """Return in words whether pretraining helped; the interval must exclude zero to decide."""
    if difference.low > 0:
        return "helped"
    return "did harm" if difference.high < 0 else "did not clearly help"


def sentence(
    embedder: str, baseline: str, difference: Difference, counts: Sequence[int | str], n_folds: int, n_embedders: int
) -> str:
    """Return a sentence on whether pretraining helped, with the interval."""
    mean, low, high, _ = difference
    labels = ", ".join(map(str, counts))
    choice = f", corrected for the choice among {n_embedders} embedders" if n_embedders > 1 else ""
    return (
        f"Pretraining {effect(difference)}: {embedder} scores {mean:+.3f} against {baseline}, the best baseline (95 % "
        f"interval {low:+.3f} to {high:+.3f}; mean over {labels} labels per class and {n_folds} folds{choice})."
    )


def recommendation(scores: Mapping[str, np.ndarray]) -> str:
    """Return a sentence that recommends the features with the highest mean score."""
    best = best_of(scores, scores)
    others = " or ".join(f"{name} ({values.mean():.3f})" for name, values in scores.items() if name != best)
    return f"Use {best} (mean score {scores[best].mean():.3f}), not {others}."


def sentence_in_points(baseline: str, difference: Difference) -> str:
    """Return a sentence on whether pretraining helped with all labels, in percentage points of accuracy."""
    mean, low, high = (f"{100 * value:+.1f}" for value in difference[:3])
    return (
        f"With all labels, pretraining {effect(difference)}: {mean} points of accuracy against the best baseline, "
        f"{baseline} (95 % interval from {low} to {high})."
    )
