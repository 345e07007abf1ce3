"""Summarise the panel's results: the reference of each kind, means, and sets lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _panel_data import BUDGETS, KINDS

METRICS = ("accuracy", "balanced")
LEVELS = tuple(map(str, BUDGETS))
HEADS = (*(f"{level} per class" for level in LEVELS[:-1]), "all labels")
BASELINES_FILE = "baselines"


class Row(NamedTuple):
    """A representation with a scaling, on the sets of a kind for which it was measured."""

    label: str
    source_file: str
    sets: dict[str, Any]
    """By set: facts of the set and "scores"."""


class Margin(NamedTuple):
    """The gain of a row over the reference on a set, in points, and whether the set counts as lost."""

    gain: float
    lost: bool


def margin(
    row: dict[str, Any], reference: dict[str, Any], budget: str, n_test: int, metric: str = "accuracy"
) -> Margin:
    """Compare the scores of two rows on one set.

    A set is lost if the mean is below the reference's by more than a point and more than the standard deviation over
    draws of the paired difference; with all labels, which is one draw, more than the binomial standard error.
    """
    ours, theirs = (100 * np.array(scores[budget][metric]) for scores in (row, reference))
    differences = ours - theirs
    if budget == "all":
        noise = 100 * (theirs[0] / 100 * (1 - theirs[0] / 100) / n_test) ** 0.5
    else:
        noise = float(differences.std(ddof=1))
    return Margin(float(differences.mean()), bool(-differences.mean() > max(1.0, noise)))


def rows_of_kind(folder: Path, kind: str) -> list[Row]:
    """Return the rows of all files, baselines first."""
    rows: dict[tuple[str, str], Row] = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: (path.stem != BASELINES_FILE, path.stem)):
        for name, scaling, measured, facts in entries(json.loads(path.read_text()), kind):
            tag = path.stem.partition("@")[2]
            label = f"{name}{' @' + tag if tag else ''}, {scaling}"
            row = rows.setdefault((label, path.stem), Row(label, path.stem, {}))
            row.sets[facts["name"]] = facts | {"scores": measured["scores"][scaling], "fit_s": measured["fit_s"]}
    return list(rows.values())


def entries(result: dict[str, Any], kind: str) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    for name, found in result["sets"].items():
        if found["kind"] == kind:
            facts = {"name": name, "halves": found["halves"], "n_test": found["n_test"]}
            for rows in found["sources"].values():
                for row, measured in rows.items():
                    for scaling in measured["scores"]:
                        yield row, scaling, measured, facts


def mean_at(row: Row, budget: str, sets: list[str], metric: str = "accuracy") -> float:
    """Return the mean over sets and draws in percent, NaN where no set has the budget."""
    values = [np.mean(row.sets[name]["scores"][budget][metric]) for name in sets if budget in row.sets[name]["scores"]]
    return 100 * float(np.mean(values)) if values else float("nan")


def covering(rows: list[Row], half: str) -> tuple[list[Row], list[str]]:
    """Return the rows that were measured on all sets of a half that any was, and these sets."""
    sets = sorted({name for row in rows for name, found in row.sets.items() if half in (*found["halves"], "all")})
    return [row for row in rows if set(sets) <= set(row.sets)], sets


def reference_of(rows: list[Row]) -> Row | None:
    """Return the baseline with the highest mean over the budgets on the dev half; trees lack the small ones."""
    complete, sets = covering([row for row in rows if row.source_file == BASELINES_FILE], "dev")
    judged = [row for row in complete if "1" in next(iter(row.sets.values()))["scores"]] if sets else []
    means = {row.label: np.nanmean([mean_at(row, budget, sets) for budget in LEVELS]) for row in judged}
    return max(judged, key=lambda row: means[row.label], default=None)


def summarised(row: Row, reference: Row, sets: list[str], budget: str) -> dict[str, Any] | None:
    """Return a row's means at a budget, and its gains over the reference, over the sets that have the budget."""
    having = [name for name in sets if name in row.sets and budget in row.sets[name]["scores"]]
    if not having:
        return None
    margins = {
        metric: {
            name: margin(row.sets[name]["scores"], reference.sets[name]["scores"], budget, n_test, metric)
            for name, n_test in ((name, row.sets[name]["n_test"]) for name in having)
        }
        for metric in METRICS
    }
    gains = {name: found.gain for name, found in margins["accuracy"].items()}
    worst = min(having, key=gains.__getitem__)
    lost = {metric: [name for name in having if of_metric[name].lost] for metric, of_metric in margins.items()}
    means = {metric: mean_at(row, budget, having, metric) for metric in METRICS}
    gain = float(np.mean(list(gains.values())))
    return {"n_sets": len(having), **means, "gain": gain, "lost": lost, "worst": [worst, gains[worst]]}


def summary(folder: Path) -> dict[str, Any]:
    """Return the reference of each kind, and all rows compared with it, by half."""
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        rows = rows_of_kind(folder, kind)
        if reference := reference_of(rows):
            halves = {half: half_of(rows, reference, half) for half in ("dev", "other", "all")}
            kinds[kind] = {"reference": reference.label, "halves": halves, "sets": per_set(rows)}
    return {"kinds": kinds}


def half_of(rows: list[Row], reference: Row, half: str) -> dict[str, Any]:
    """Return all rows on the sets of a half on which the reference was measured."""
    sets = [name for name, found in reference.sets.items() if half in (*found["halves"], "all")]
    found = {row.label: {level: summarised(row, reference, sets, level) for level in LEVELS} for row in rows}
    measured = {label: levels for label, levels in found.items() if any(levels.values())}
    baselines = [row for row in rows if row.source_file == BASELINES_FILE]
    return {
        "n_sets": len(sets),
        "rows": measured,
        "highest": {level: highest(baselines, level, sets) for level in LEVELS},
    }


def highest(rows: list[Row], budget: str, sets: list[str]) -> float | None:
    """Return the mean over sets of the highest baseline's accuracy, which could not have been chosen in advance."""
    scores = {name: [row.sets[name]["scores"] for row in rows if name in row.sets] for name in sets}
    tops = [
        max(np.mean(found[budget]["accuracy"]) for found in of_set if budget in found)
        for of_set in scores.values()
        if any(budget in found for found in of_set)
    ]
    return 100 * float(np.mean(tops)) if tops else None


def per_set(rows: list[Row]) -> dict[str, Any]:
    """Return the mean accuracies of each set, by row and budget."""
    names = sorted({name for row in rows for name in row.sets})
    return {
        name: {
            row.label: {b: round(100 * float(np.mean(s["accuracy"])), 1) for b, s in row.sets[name]["scores"].items()}
            for row in rows
            if name in row.sets
        }
        for name in names
    }


# -- the table ----------------------------------------------------------------------------------------


def cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    lost = " / ".join(str(len(found["lost"][metric])) for metric in METRICS)
    return f"{found['accuracy']:.1f} / {found['balanced']:.1f}, lost {lost} of {found['n_sets']}"


def mean_gain(levels: dict[str, Any]) -> float:
    return float(np.mean([found["gain"] for found in levels.values() if found]))


def table(kind: str, found: dict[str, Any], half: str) -> list[str]:
    """Return the lines of a kind's table, the row with the highest mean gain over the reference first."""
    measured = found["halves"][half]
    n_sets, rows = measured["n_sets"], sorted(measured["rows"].items(), key=lambda item: -mean_gain(item[1]))
    lines = [f"| {kind}, {half_name(half)} ({n_sets} sets) | {' | '.join(HEADS)} |", "| --- " * 5 + "|"]
    for label, levels in rows:
        if levels["all"]["n_sets"] == n_sets:
            marked = f"**{label}**" if label == found["reference"] else label
            lines.append(f"| {marked} | {' | '.join(cell(levels[level]) for level in LEVELS)} |")
    tops = (measured["highest"][level] for level in LEVELS)
    lines.append(f"| highest baseline of each set | {' | '.join(f'{top:.1f}' if top else '' for top in tops)} |")
    # A mean over other sets would not be comparable.
    partial = [f"{label} ({levels['all']['n_sets']})" for label, levels in rows if levels["all"]["n_sets"] < n_sets]
    return [*lines, "", f"On fewer sets so far: {'; '.join(partial)}."] if partial else lines


def half_name(half: str) -> str:
    return "all" if half == "all" else f"{half} half"


def markdown(result: dict[str, Any], half: str = "all") -> str:
    """Return the tables of all kinds measured on a half."""
    kinds = {kind: found for kind, found in result["kinds"].items() if found["halves"][half]["n_sets"]}
    return "\n\n".join("\n".join(table(kind, found, half)) for kind, found in kinds.items())
