"""Checks of a fitted embedder for known failures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils.validation import check_is_fitted

from skclr.data import Labels, Rows, encode_labels
from skclr.embedder import ContrastiveEmbedder
from skclr.evaluation.candidates import baseline_names, own_name, with_baselines
from skclr.evaluation.judges import linear_judge
from skclr.evaluation.scorers import embed
from skclr.evaluation.verdicts import best_of, gain
from skclr.measures import collapsed_share, effective_rank, evenly_spaced_rows, feature_std, view_auc
from skclr.modalities.doubtful import doubtful_columns
from skclr.model import LEFT_OUT, rows_of
from skclr.training import embed_views

# Number of samples that are examined, enough for every measure below.
_MOST_ROWS = 2_000
_SMALLEST_BATCH = 32
_N_SPLITS = 5


class Finding(NamedTuple):
    """A known failure that was found, with a remedy.

    Attributes
    ----------
    name : name of the failure.
    message : a sentence with the measured value and the remedy.

    Examples
    --------
    >>> from skclr.evaluation import Finding
    >>> name, message = Finding("small batch", "A batch has 8 samples: set batch_size to 32 or more.")
    >>> name
    'small batch'
    """

    name: str
    message: str


@dataclass
class Evidence:
    """The data that the checks examine.

    Attributes
    ----------
    embedder, X, X_test : as passed to `diagnose`, except that X contains only some rows of the first view.
    labels : labels of the rows of X; None without y.
    z : (n, d) embeddings of X.
    views, z1, z2 : the first two views of X as the encoder receives them, and their embeddings.
    before : (n, d) embeddings before training.
    """

    embedder: ContrastiveEmbedder
    X: Rows
    labels: Labels | None
    X_test: Any
    z: np.ndarray
    views: list[np.ndarray]
    z1: np.ndarray
    z2: np.ndarray
    before: np.ndarray

    @property
    def is_collapsed(self) -> bool:
        """Whether all embeddings are the same."""
        return feature_std(self.z) < 1e-3

    @property
    def has_columns(self) -> bool:
        """Whether X is a table with columns to examine."""
        return self.embedder.modality_ == "tabular"


def diagnose(
    embedder: ContrastiveEmbedder, X: Any, y: Any = None, *, X_test: Any = None, random_state: int = 0
) -> list[Finding]:
    """Check a fitted embedder for known failures.

    Parameters
    ----------
    embedder : fitted embedder.
    X : its training samples, as for `ContrastiveEmbedder.fit`.
    y : (n,) classes, to find columns that leak them and to compare the embedding with its baselines; unlabelled rows
        (-1 or missing) are left out of both. Without y, or with a single class, both checks are skipped.
    X_test : test samples; those that are also in X are reported.
    random_state : seed of views and splits.

    Returns
    -------
    A list of `Finding`, which is empty if there are none.

    Raises
    ------
    NotFittedError : if the embedder has not been fitted.
    ValueError, TypeError : if y has another length than X, is continuous, or is not array-like.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder, diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(batch_size=16, max_epochs=2, random_state=0).fit(X)
    >>> [finding.name for finding in diagnose(embedder, X)]
    ['small batch']
    """
    check_is_fitted(embedder)
    evidence = gather(embedder, X, y, X_test, random_state)
    found = ((name, check(evidence)) for name, check in CHECKS.items())
    return [Finding(name, message) for name, message in found if message]


def gather(embedder: ContrastiveEmbedder, X: Any, y: Any, X_test: Any, random_state: int) -> Evidence:
    """Return some rows of X with their views and embeddings, before and after training."""
    rows = rows_of(embedder, X)
    n_samples = len(embed(embedder, rows.first.as_given()))
    labels = None if y is None else encode_labels(y, n_samples)
    chosen = evenly_spaced_rows(n_samples, _MOST_ROWS)
    rows = rows[chosen]
    views = embedder.make_views(rows.as_given(), random_state)[:2]
    X = rows.first
    z1, z2 = embed_views(embedder.encoder_, views, embedder.device_)
    untrained = copy.copy(embedder)
    untrained.model_ = embedder.model_.untrained()
    z, before = (embed(each, X.as_given()) for each in (embedder, untrained))
    if labels is not None:
        labels = labels.take(chosen)
    return Evidence(embedder, X, labels, X_test, z, views, z1, z2, before)


# -- checks: each returns a message, or None -------------------------------------------------------


def collapsed_encoder(evidence: Evidence) -> str | None:
    """Find an encoder with the same output for all samples."""
    if not evidence.is_collapsed:
        return None
    return (
        f"The encoder returns the same output for every sample (spread {feature_std(evidence.z):.1e}; 1 is even). "
        "Lower learning_rate, raise batch_size, or use a framework with negatives such as 'simclr'."
    )


def dimensional_collapse(evidence: Evidence) -> str | None:
    """Find an embedding with fewer directions after training than before."""
    rank, before = effective_rank(evidence.z), effective_rank(evidence.before)
    if evidence.is_collapsed or rank > before / 3:
        return None
    return (
        f"The embedding uses {rank:.1f} directions, after {before:.1f} before training, and "
        f"{collapsed_share(evidence.z):.0%} of its directions are empty. Weaken the views, lower the temperature, or "
        "use 'barlow_twins' or 'vicreg'."
    )


def destroyed_signal(evidence: Evidence) -> str | None:
    """Find views of a sample that are no more similar than two samples."""
    auc = view_auc(evidence.z1, evidence.z2)
    # A hardly trained encoder does not recognise good views either.
    if evidence.is_collapsed or auc >= 0.6 or evidence.embedder.n_iter_ < 2:
        return None
    return (
        f"Two views of a sample are more similar than views of two samples in {auc:.0%} of cases; chance is 50%. "
        "Weaken the views with views_params, since they destroy the signal."
    )


def unchanged_views(evidence: Evidence) -> str | None:
    """Find views that are equal."""
    one, other = (view.reshape(len(view), -1) for view in evidence.views)
    tolerance = 1e-3 * np.nanstd(one)
    equal = np.isclose(one, other, rtol=0, atol=tolerance, equal_nan=True).all(1).mean()
    if equal < 0.9:
        return None
    return (
        f"{equal:.0%} of samples are equal in both views, so nothing can be learned from them. Strengthen the views "
        "with views_params."
    )


def leaking_labels(evidence: Evidence) -> str | None:
    """Find columns that determine the class."""
    if evidence.labels is None or not evidence.has_columns:
        return None
    known = evidence.labels.labelled
    leaks = doubtful_columns(evidence.X[known].single(), evidence.labels.codes[known]).targets
    if not leaks:
        return None
    return f"Column {', '.join(map(repr, leaks))} determines the class of every sample. Drop it if it was made from y."


def constant_columns(evidence: Evidence) -> str | None:
    """Find columns with a single value."""
    constants = doubtful_columns(evidence.X.single()).constants if evidence.has_columns else []
    if not constants:
        return None
    return f"Column {', '.join(map(repr, constants))} has the same value in every sample. Drop it."


def seen_test_samples(evidence: Evidence) -> str | None:
    """Find test samples that are also training samples."""
    if evidence.X_test is None or evidence.is_collapsed:
        return None
    # Equal samples have equal embeddings, to the last bit.
    known = {row.tobytes() for row in evidence.z}
    share = np.mean([row.tobytes() in known for row in embed(evidence.embedder, evidence.X_test)])
    if share < 0.01:
        return None
    return f"{share:.0%} of the test samples are also in X. Drop duplicates before the split."


def small_batch(evidence: Evidence) -> str | None:
    """Find a batch with too few samples to contrast with."""
    size = evidence.embedder.net_.batch_size
    if size >= _SMALLEST_BATCH:
        return None
    return (
        f"A batch has {size} samples, so each is contrasted with only {size - 1} others. Set batch_size to "
        f"{_SMALLEST_BATCH} or more (256 is usual), or pass more samples."
    )


def constant_loss(evidence: Evidence) -> str | None:
    """Find a loss that never fell below that of the first epoch."""
    losses = evidence.embedder.loss_curve_
    if len(losses) < 3 or min(losses[1:]) < losses[0] - 1e-3 * abs(losses[0]):
        return None
    return (
        f"The loss never fell below that of the first epoch ({losses[0]:.3f}; the last is {losses[-1]:.3f}). Change "
        "learning_rate, or weaken the views."
    )


def too_little_learned(evidence: Evidence) -> str | None:
    """Find an embedding that adds nothing to plain features."""
    model = evidence.embedder.model_
    if model.n_learned:
        return None
    return f"{LEFT_OUT.format(n=model.n_samples)} Pass more rows, or set passthrough=False to use the embedding alone."


def no_better_features(evidence: Evidence) -> str | None:
    """Find an embedding on which a linear probe is no better than on a baseline, within the noise of the splits."""
    if evidence.labels is None or not (evidence.embedder.n_iter_ and evidence.embedder.model_.n_learned):
        return None
    known, counts = evidence.labels.labelled, evidence.labels.counts
    # The examined rows may lack a rare class.
    if np.count_nonzero(counts) < 2 or counts[counts > 0].min() < 2:
        return None
    X, y = evidence.X[known], evidence.labels.codes[known]
    scores = _probe_scores(evidence.embedder, X, y)
    own, best = own_name(scores), best_of(scores, baseline_names(scores))
    # Training and test parts have equal size.
    if gain(scores, own, best, test_share=1.0).high > 0:
        return None
    remedy = "Use those, or change views and epochs" if evidence.embedder.n_iter_ > 1 else "Train for more epochs"
    return (
        f"The accuracy of a linear probe is {scores[own].mean():.1%} on the {own} and "
        f"{scores[best].mean():.1%} on the {best}. {remedy}; skclr.compare shows more."
    )


def _probe_scores(embedder: ContrastiveEmbedder, X: Rows, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the accuracy of a linear judge on the embedding and on its baselines, by split."""
    splits = list(StratifiedShuffleSplit(_N_SPLITS, test_size=0.5, random_state=0).split(y, y))
    judge, scores = linear_judge(), {}
    for name, candidate in with_baselines(embedder, ("raw features", "untrained encoder")).items():
        z = candidate.fit(X).read(X)
        scores[name] = np.array([candidate.score(z[a], y[a], z[b], y[b], judge=judge) for a, b in splits])
    return scores


CHECKS: dict[str, Callable[[Evidence], str | None]] = {
    "collapsed encoder": collapsed_encoder,
    "dimensional collapse": dimensional_collapse,
    "views destroy the signal": destroyed_signal,
    "views change nothing": unchanged_views,
    "labels leak": leaking_labels,
    "constant columns": constant_columns,
    "test samples in training": seen_test_samples,
    "small batch": small_batch,
    "loss never fell": constant_loss,
    "too little learned": too_little_learned,
    "no better than baselines": no_better_features,
}
