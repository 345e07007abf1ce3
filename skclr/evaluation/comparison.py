"""Comparison of embedders with baselines, with confidence intervals of their differences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import joblib
import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils.validation import check_memory

from skclr.data import Labels, Rows, check_length, check_splittable, encode_labels
from skclr.data.labels import UNLABELLED
from skclr.evaluation.budgets import Budgets
from skclr.evaluation.candidates import (
    ALONE,
    BOTH,
    PLAIN,
    Candidate,
    Costs,
    Embedding,
    named_baselines,
    named_embedders,
)
from skclr.evaluation.harness import Record, Scores, Trial, reseeded
from skclr.evaluation.judges import Judge, linear_judge
from skclr.evaluation.statistics import Difference, corrected_t_test
from skclr.evaluation.verdicts import Verdict, best_of, gain, recommendation, sentence
from skclr.files.atomic import make_folder
from skclr.optional import import_optional
from skclr.part_choices import shows_given
from skclr.randomness import derive_seeds

_SUFFIXES = ("", "_low", "_high", "_p_value")
_UNTESTED = Difference(*[float("nan")] * 4)


# -- results ---------------------------------------------------------------------------------------


class Comparison:
    """Result of `compare`: its scores as records, and the verdict.

    Attributes
    ----------
    records : list of dict
        One per row and number of labels: features, kind ("baseline", "embedder" or "part"), labels_per_class, mean,
        low, high (95 % interval over the folds), scores (one per fold), fit_seconds, rows_per_second of `transform`.
        Embedders also have difference, difference_low, difference_high and difference_p_value: a comparison with the
        best baseline, corrected for the number of embedders. If `transform` appends plain features to the embedding,
        the plain features alone are a baseline and the embedding alone is a part; neither needs another fit. Embedders
        that read X in the same way share the row of plain features.
    verdict : Verdict
        Whether pretraining helped, and which features to use.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> few = {"labels_per_class": (5,), "n_draws": 1, "cv": 2, "embedder_params": {"max_epochs": 1}}
    >>> found = compare(X, y, ["simclr"], ["PCA"], **few)
    >>> [record["features"] for record in found.records]
    ['PCA', 'plain features', 'simclr, embedding alone', 'simclr']
    """

    def __init__(self, records: list[Record], verdict: Verdict) -> None:
        self.records = records
        self.verdict = verdict

    def to_frame(self) -> Any:
        """Return the records as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return import_optional("pandas", "cli", "to_frame").DataFrame(self.records)

    def __repr__(self) -> str:
        counts = list(dict.fromkeys(record["labels_per_class"] for record in self.records))
        rows: dict[str, list[str]] = {}
        for record in self.records:
            cells = rows.setdefault(record["features"], [f"{record['fit_seconds']:.1f}"])
            cells.insert(-1, f"{record['mean']:.3f} ± {(record['high'] - record['low']) / 2:.3f}")
        header = ["", *(f"{n} labels per class" for n in counts), "fit, s"]
        lines = [header, *([name, *cells] for name, cells in rows.items())]
        width = max(map(len, rows))
        table = [f"{name:{width}}" + "".join(f"{cell:>22}" for cell in cells) for name, *cells in lines]
        return "\n".join([*table, "", _legend(len(self.records[0]["scores"])), self.verdict.sentence])


# -- computation ---------------------------------------------------------------------------------------


def compare(
    X: Any,
    y: Any,
    embedders: Any = "all",
    baselines: Any = "auto",
    *,
    labels_per_class: Sequence[int | str] = (5, 10, 50),
    embedder_params: Mapping[str, Any] | None = None,
    n_draws: int = 3,
    cv: Any = 5,
    scoring: Any = "accuracy",
    memory: Any = None,
    n_jobs: int | None = None,
    random_state: int = 0,
    verbose: int = 0,
) -> Comparison:
    """Compare embedders with baselines on labelled data, and state whether pretraining helped.

    In each fold every embedder and baseline learns from the training samples without labels, then a logistic regression
    from a few of their labels, the same for all; neither sees the test samples.

    Parameters
    ----------
    X : array or DataFrame of n samples
        As for `ContrastiveEmbedder.fit`; the baselines use the first sample of each pair.
    y : array of shape (n,)
        Classes, in any container. Unlabelled rows (-1 or a missing value) are training samples in every fold, but are
        neither drawn nor scored.
    embedders : "all", list of str, or dict of str to ContrastiveEmbedder, default="all"
        Frameworks by name, or embedders.
    baselines : "auto", list of str, or dict of str to transformer, default="auto"
        Names among "raw features", "PCA", "untrained encoder", "supervised network" (of the same shape, on the labelled
        samples alone) and "UMAP"; "auto" is all but UMAP. The network is the first embedder's.
    labels_per_class : sequence of int or "all", default=(5, 10, 50)
        Numbers of labels per class; a class with fewer labels uses all of them. Numbers that no class reaches in any
        fold become "all".
    embedder_params : dict, default=None
        Parameters of embedders given by name.
    n_draws : int, default=3
        Number of draws of labels in each fold; the score of a fold is their mean.
    cv : int, cross-validation generator or iterable, default=5
        A number is the number of stratified, shuffled folds. With 2 folds the intervals are very wide.
    scoring : str or callable, default="accuracy"
        A scikit-learn scorer that returns one number.
    memory : str, path or joblib.Memory, default=None
        Folder that stores finished cells, one for each row and fold: an interrupted run continues from them. Use a new
        folder after an upgrade. Image files are recognised by path, size and modification time. joblib unpickles the
        files in the folder, which may run code, so nobody else should be able to write to it.
    n_jobs : int, default=None
        Number of cells that run in parallel, by joblib.
    random_state : int, default=0
        Seed of folds, draws and fits.
    verbose : int, default=0
        1 prints a line for each finished cell.

    Returns
    -------
    Comparison
        Printed, it is a table of mean scores over the folds ± half the width of their 95 % intervals, with the verdict.

    Raises
    ------
    ValueError
        If y has fewer than two classes, a class of one labelled row, or a fold without labels of two classes.
    TypeError
        If y is not array-like.

    Notes
    -----
    Differences are tested by the corrected resampled t-test (Nadeau & Bengio 2003), since folds share training samples.
    Their intervals have Bonferroni's correction for the number of embedders, so they are valid for the best of them.
    The best baseline is chosen on the same scores, which favours it. The classifier is that of `linear_probe`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> few = {"labels_per_class": (5,), "n_draws": 1, "cv": 2, "embedder_params": {"max_epochs": 2}}
    >>> found = compare(X, y, ["simclr"], ["raw features", "PCA"], **few)
    >>> [record["features"] for record in found.records]
    ['raw features', 'PCA', 'plain features', 'simclr, embedding alone', 'simclr']
    """
    labels = encode_labels(y)
    _check_scoring(scoring)
    learners = named_embedders(embedders, embedder_params or {})
    rows = Rows.of(X, paired=any(shows_given(embedder.views) for embedder in learners.values()))
    check_length("y", labels.codes, len(rows))
    first = named_baselines(baselines, next(iter(learners.values())))
    candidates = first | {name: Embedding(embedder) for name, embedder in learners.items()}
    # Like `transform`, the baselines use the first sample of each pair.
    samples = dict.fromkeys(first, rows.first) | dict.fromkeys(learners, rows)
    folds = _folds(cv, labels, random_state)
    budgets = Budgets(tuple(labels_per_class), n_draws).within(*(labels.take(train) for train, _ in folds))
    settings = budgets, linear_judge(scoring)
    run = _cache_in(memory).cache(run_cell, ignore=["X", "labels"])
    data = joblib.hash((rows.fingerprint(), *labels))
    cells = [(fold, name) for fold in range(len(folds)) for name in candidates]
    calls = (
        delayed(run)(
            candidates[name], samples[name], labels, data, *folds[fold], *settings, *derive_seeds(1, random_state, fold)
        )
        for fold, name in cells
    )
    results: dict[str, list[Cells]] = {name: [] for name in candidates}
    for (fold, name), of_parts in zip(cells, Parallel(n_jobs, return_as="generator")(calls), strict=True):
        results[name].append(of_parts)
        if verbose:
            print(f"fold {fold + 1}/{len(folds)}  {_progress(name, of_parts[WHOLE])}", flush=True)
    # Labelled rows only: unlabelled ones are in the training part of every fold.
    shares = [len(test) / np.count_nonzero(labels.codes[train] != UNLABELLED) for train, test in folds]
    test_share = float(np.mean(shares))
    return summarize_cells(results, list(learners), test_share)


def _check_scoring(scoring: Any) -> None:
    """Raise a ValueError for an unknown scorer before anything is fitted."""
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise ValueError(f"scoring={scoring!r} is unknown. Pass a name of sklearn.metrics.get_scorer_names().")


def _cache_in(memory: Any) -> Any:
    """Return joblib's cache in a folder, which is created."""
    is_path = isinstance(memory, str | os.PathLike)
    return check_memory(os.fspath(make_folder(memory, "memory")) if is_path else memory)


class Cell(NamedTuple):
    """The scores of one row of the table on one fold, by number of labels and draw, and its costs."""

    scores: Scores
    costs: Costs


# Cells of all features of a candidate, and of their parts.
Cells = dict[str, Cell]
WHOLE = ""


def run_cell(
    candidate: Candidate,
    X: Rows,
    labels: Labels,
    data: str,
    train: np.ndarray,
    test: np.ndarray,
    budgets: Budgets,
    judge: Judge,
    seed: int,
) -> Cells:
    """Score a candidate and its parts on one fold; the cache keeps the result.

    Parameters
    ----------
    candidate : candidate, which is copied and seeded.
    X, labels, train, test : as for `Trial.of`.
    data : hash of X and labels, part of the key of the cache.
    budgets, judge : label budgets, and the judge that receives them.
    seed : seed of everything random in the fold.
    """
    whole = Trial.of(reseeded(candidate, seed), X, labels, train, test)
    parts = {name: Trial.of(part, X, labels, train, test) for name, part in whole.candidate.parts().items()}
    return {
        name: Cell(trial.score_budgets(judge, budgets, seed), trial.costs)
        for name, trial in {WHOLE: whole, **parts}.items()
    }


def summarize_cells(results: Mapping[str, list[Cells]], embedders: Sequence[str], test_share: float) -> Comparison:
    """Return the table and the verdict of all cells.

    Parameters
    ----------
    results : results of `run_cell` for each row, by fold.
    embedders : names of the rows that are embedders; the others are baselines.
    test_share : test rows per training row.
    """
    rows, kinds = _with_parts(results, embedders)
    counts = list(rows[embedders[0]][0].scores)
    scores = {name: np.array([_means(cell) for cell in cells]) for name, cells in rows.items()}
    best = best_of(scores, embedders)
    baseline = best_of(scores, [name for name in rows if kinds[name] == "baseline"])
    test = partial(gain, baseline=baseline, test_share=test_share, n_tests=len(embedders))
    records = [
        {
            "features": name,
            "kind": kinds[name],
            "labels_per_class": n_labels,
            **_summary(scores[name][:, column], test_share),
            **_prefixed(test(of_count, name) if name in embedders else _UNTESTED),
            **Costs(*np.mean([cell.costs for cell in cells], axis=0).tolist())._asdict(),
        }
        for name, cells in rows.items()
        for column, n_labels in enumerate(counts)
        for of_count in [{name: values[:, column] for name, values in scores.items()}]
    ]
    found = test(scores, best)
    in_words = sentence(best, baseline, found, counts, len(scores[best]), len(embedders))
    if (alone := _of_part(best, ALONE)) in scores:
        plain = scores.get(_of_part(best, PLAIN), scores[PLAIN])
        in_words += f" {recommendation({PLAIN: plain, ALONE: scores[alone], BOTH: scores[best]})}"
    return Comparison(records, Verdict(best, baseline, found, in_words))


def _with_parts(
    results: Mapping[str, list[Cells]], embedders: Sequence[str]
) -> tuple[dict[str, list[Cell]], dict[str, str]]:
    """Return the cells and the kind of each row of the table: baselines, then each embedder after its parts."""
    rows: dict[str, list[Cell]] = {}
    kinds: dict[str, str] = {}
    for name, folds in results.items():
        parts = [part for part in folds[0] if part != WHOLE]
        for part in [*parts, WHOLE]:
            row, found = _of_part(name, part), [cells[part] for cells in folds]
            if part == PLAIN and all(a.scores == b.scores for a, b in zip(rows.get(PLAIN, found), found, strict=True)):
                # Embedders that read X in the same way have the same plain features.
                row = PLAIN
            rows.setdefault(row, found)
            kinds.setdefault(row, "part" if part == ALONE else "embedder" if row in embedders else "baseline")
    return rows, kinds


def _of_part(name: str, part: str) -> str:
    """Return the name of the row of a part of an embedder's features."""
    return name if part == WHOLE else f"{name}, {part}"


def _means(cell: Cell) -> list[float]:
    """Return the mean score over the draws for each number of labels."""
    return [float(np.mean(scores)) for scores in cell.scores.values()]


def _summary(scores: np.ndarray, test_share: float) -> Record:
    mean, low, high, _ = corrected_t_test(scores, test_share)
    return {"mean": mean, "low": low, "high": high, "scores": scores.tolist()}


def _prefixed(difference: Difference) -> Record:
    return {f"difference{suffix}": value for suffix, value in zip(_SUFFIXES, difference, strict=True)}


def _progress(name: str, cell: Cell) -> str:
    scores = "  ".join(f"{n}: {score:.3f}" for n, score in zip(cell.scores, _means(cell), strict=True))
    return f"{name:20}{scores}  ({cell.costs.fit_seconds:.1f} s)"


def _legend(n_folds: int) -> str:
    wide = ": few folds make it wide, cv=5 is usual" if n_folds < 3 else ""
    return f"Mean over {n_folds} folds ± half the width of its 95 % interval{wide}."


def _folds(cv: Any, labels: Labels, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the row numbers of each fold's training and test part; unlabelled rows are for training only."""
    check_splittable(labels, "compare")
    known = labels.labelled
    if isinstance(cv, Iterable):
        # Folds of the user contain row numbers of X.
        folds = [(np.asarray(train), np.asarray(test)[np.isin(test, known)]) for train, test in cv]
    else:
        if isinstance(cv, Integral):
            cv = StratifiedKFold(int(cv), shuffle=True, random_state=seed)
        splits = check_cv(cv, labels.values(known), classifier=True).split(np.zeros(len(known)), labels.values(known))
        rest = np.flatnonzero(labels.codes == UNLABELLED)
        folds = [(np.append(known[train], rest), known[test]) for train, test in splits]
    if len(folds) < 2:
        raise ValueError(f"cv={cv!r} makes {len(folds)} fold(s), but 2 or more are needed. Pass, for example, cv=5.")
    for number, (train, test) in enumerate(folds, start=1):
        if len(np.setdiff1d(labels.codes[train], UNLABELLED)) < 2 or not len(test):
            raise ValueError(
                f"fold {number} of cv has training labels of fewer than 2 classes, or no test labels. Use fewer folds, "
                "or pass more labels."
            )
    return folds
