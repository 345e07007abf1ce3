"""The numbers of the documentation, from benchmarks/results/: tables as .csv files, and numbers in sentences."""

import csv
import io
import json
import re
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from _common import RESULTS
from _panel_tables import LEVELS, Row, mean_at, reference_of, rows_of_kind

DOCS = Path(__file__).parents[1] / "docs"
Cells = list[list[str]]
"""A table, its header first."""


def percent(summary: dict[str, Any]) -> str:
    return f"{100 * summary['mean']:.1f} ± {100 * summary['std']:.1f}"


# -- choosing -----------------------------------------------------------------------------------------


def selection(result: dict[str, Any]) -> Cells:
    """How scores without labels rank models."""
    agreements = {name: data["spearman"] for name, data in result["sets"].items()}
    probes = ("probe, all labels", "probe, 10 labels")
    means = {}
    for measure in next(iter(agreements.values())):
        values = [agreements[name][measure][probe] for name in agreements for probe in probes]
        means[measure] = statistics.mean(values), values
    rows = [[m, f"{mean:.2f}", *(f"{v:.2f}" for v in values)] for m, (mean, values) in means.items()]
    header = ["measure", "mean", *(f"{name}, {probe[7:]}" for name in agreements for probe in probes)]
    return [header, *sorted(rows, key=lambda row: -means[row[0]][0])]


def choosing_frameworks(result: dict[str, Any]) -> Cells:
    """Accuracy and time of the frameworks."""
    measured = {**result["tables"]["baselines"], **result["tables"]["skclr"]}
    rows = []
    for name, row in sorted(measured.items(), key=lambda item: -item[1]["linear"]["mean"]):
        seconds = f"{row['seconds']['mean']:.0f}" if "seconds" in row else ""
        rows.append([name, percent(row["linear"]), percent(row["knn"]), seconds])
    return [["features", "linear probe", "k-NN", "fit, s"], *rows]


def frameworks_at_defaults(result: dict[str, Any]) -> Cells:
    """Accuracy with ten labels per class of what `transform` returns, and seconds of `fit`, by framework and set."""
    sets = {name: found["rows"] for name, found in result["sets"].items()}
    labels = list(dict.fromkeys(label for rows in sets.values() for label in rows if "before" not in label))
    table = [["features", *sets]]
    for label in labels:
        cells = [few_and_seconds(list(rows[label].values())) if label in rows else "" for rows in sets.values()]
        table.append([label.removeprefix("skclr: "), *cells])
    return table


def few_and_seconds(runs: list[dict[str, float]]) -> str:
    accuracies = [100 * run["few"] for run in runs]
    spread = f" ± {statistics.stdev(accuracies):.1f}" if len(runs) > 1 else ""
    seconds = f" ({statistics.mean(run['processor_seconds'] for run in runs):.0f} s)" if "epochs" in runs[0] else ""
    return f"{statistics.mean(accuracies):.1f}{spread}{seconds}"


def choosing_losses(result: dict[str, Any]) -> Cells:
    """Accuracy of SimCLR with each loss."""
    measured = sorted(result["tables"]["losses"].items(), key=lambda item: -item[1]["linear"]["mean"])
    rows = [[name, percent(row["linear"]), percent(row["knn"])] for name, row in measured]
    return [["loss", "linear probe", "k-NN"], *rows]


# -- the panel ----------------------------------------------------------------------------------------

KINDS = ("tables", "series", "images", "audio", "text")
# The rows of the panel without training, and their names on a page.
PLAIN = {
    "tables": ("raw", "raw columns"),
    "series": ("raw", "raw values"),
    "images": ("raw", "raw pixels"),
    "audio": ("raw", "statistics of the spectrogram"),
    "text": ("TF-IDF", "TF-IDF"),
}
# `transform` returns plain features next to the embedding of these.
WITH_FEATURES = ("tables", "series", "text")


def compared(kind: str) -> tuple[dict[str, Row], list[str]]:
    """Return rows of the panel by their label on a page, and the sets measured in all of them.

    All are standardised, except those of texts, which it harms. Only sets that chose no default are counted, unless a
    kind has too few for two halves.
    """
    scaling = ", as it is" if kind == "text" else ", standardised"
    rows = {row.label: row for row in rows_of_kind(RESULTS / "panel", kind)}
    rows = {label.removesuffix(scaling): row for label, row in rows.items() if label.endswith(scaling)}
    best = reference_of(list(rows.values()))
    added = " + plain features" if kind in WITH_FEATURES else ""
    plain, plain_label = PLAIN[kind]
    chosen = {
        plain_label: rows.get(plain),
        best.label.removesuffix(scaling) if best and best is not rows.get(plain) else plain_label: best,
        "what ``transform`` returns": rows.get(f"embedding{added}"),
    }
    found = {label: row for label, row in chosen.items() if row}
    if len(found) < len(chosen):
        return found, []
    shared = set.intersection(*(set(row.sets) for row in found.values()))
    sets = sorted(name for name in shared if all("other" in row.sets[name]["halves"] for row in found.values()))
    untrained = rows.get("untrained encoder" + added)
    if untrained and untrained.sets.keys() >= set(sets):
        ours, row = found.popitem()
        found |= {f"{ours}, untrained": untrained, ours: row}
    return found, sets


def choosing_panel(_: dict[str, Any]) -> Cells:
    """Mean accuracies on the panel of what `transform` returns by default, and of baselines."""
    table = [["data", "features", "1 label per class", "5", "20", "all"]]
    for kind in KINDS:
        rows, sets = compared(kind)
        for label, row in rows.items() if sets else ():
            means = (f"{mean_at(row, level, sets):.1f}" for level in LEVELS)
            table.append([f"{kind} ({len(sets)} set{'s' * (len(sets) > 1)})", label, *means])
    return table


# -- how long it takes --------------------------------------------------------------------------------


def rounded(number: float) -> str:
    """Return a number with two significant digits; others would not be measured."""
    return f"{float(f'{number:.2g}'):,.0f}"


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{rounded(seconds)} s"
    return f"{rounded(seconds / 60)} min" if seconds < 6_000 else f"{seconds / 3_600:.2g} h"


def time_by_encoder(result: dict[str, Any]) -> Cells:
    """Throughput of every encoder, and the time of a default run."""
    table = [["data", "encoder", "fit, samples/s", "transform, samples/s", "default run"]]
    for kind, measured in result["kinds"].items():
        for encoder, found in measured["encoders"].items():
            run = duration(found["default_run"] / found["fit"])
            speeds = (rounded(found[verb]) for verb in ("fit", "transform"))
            table.append([f"{kind}, {measured['samples']}", f'``"{encoder}"``', *speeds, run])
    return table


def time_by_framework(result: dict[str, Any]) -> Cells:
    """Throughput of the frameworks on small images."""
    fits = {row["title"]: row["medians"]["fit"] for row in result["rows"].values() if "bare loop" in row["medians"]}
    speeds = {title.partition(",")[0]: fit["images/s"] for title, fit in fits.items() if "images/s" in fit}
    rows = [[f'``"{name}"``', rounded(speed), f"{speed / speeds['simclr']:.2f}"] for name, speed in speeds.items()]
    return [["framework", "images/s", "relative to SimCLR"], *rows]


def time_by_rows(result: dict[str, Any]) -> Cells:
    """Time of an epoch by the number of rows."""
    medians = result["rows"]["growth-epoch"]["medians"]
    return [["table", "seconds per epoch"], *([way, f"{found['s']:.2f}"] for way, found in medians.items())]


def time_by_set(_: dict[str, Any]) -> Cells:
    """Time of default fits on the data sets of the panel."""
    table = [["data", "sets", "training rows", "median fit", "longest fit"]]
    results = json.loads((RESULTS / "panel" / "embedding.json").read_text())["sets"].values()
    for kind in KINDS:
        sets = [found for found in results if found["kind"] == kind]
        seconds = [row["fit_s"] for found in sets for row in found["sources"]["embedding"].values()]
        sizes = [found["n_train"] for found in sets]
        if sets:
            spans = f"{min(sizes):,} to {max(sizes):,}", f"{statistics.median(seconds):.0f} s", f"{max(seconds):.0f} s"
            table.append([kind, str(len(sets)), *spans])
    return table


# -- pages --------------------------------------------------------------------------------------------

Made = tuple[str, Callable[[dict[str, Any]], Any]]
"""The result that numbers come from, and how."""

FILES: dict[str, Made] = {
    "selection": ("selection", selection),
    "choosing_panel": ("panel", choosing_panel),
    "choosing_frameworks": ("quality", choosing_frameworks),
    "frameworks_at_defaults": ("frameworks", frameworks_at_defaults),
    "choosing_losses": ("quality", choosing_losses),
    "time_by_encoder": ("throughput", time_by_encoder),
    "time_by_framework": ("vs_peers", time_by_framework),
    "time_by_rows": ("vs_peers", time_by_rows),
    "time_by_set": ("panel", time_by_set),
}


def overhead(result: dict[str, Any]) -> list[str]:
    return [f"{case['ratio']['bare loop']:.2f}" for case in result["cases"].values()]


def two_jobs(result: dict[str, Any]) -> list[str]:
    speeds = result["sections"]["search"]["measured"]["speed, as a multiple of 1 job's"]
    return [f"{speeds['2 jobs, loky'] / speeds[other]:.2f}" for other in ("1 job on 1 thread", "1 job on 2 threads")]


def first_example(result: dict[str, Any]) -> list[str]:
    return [f"{result[features]:.2f}" for features in ("pipeline", "raw pixels")]


EXAMPLE: dict[str, Made] = {"#; the same classifier on raw pixels: #": ("first_example", first_example)}
# By page: sentences, in which # is a number.
SENTENCES: dict[str, dict[str, Made]] = {
    "../README.md": EXAMPLE,
    "index.rst": EXAMPLE,
    "performance.rst": {
        "``fit`` reached # of the throughput of a bare torch loop with the same views on a table of 20,000 × 50, "
        "and # on small images": ("loop", overhead),
    },
    "user_guide.rst": {
        "This was # times as fast as one job on one thread, and # times as fast as one job on both cores": (
            "faults",
            two_jobs,
        ),
    },
}


def read(result: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{result}.json").read_text())
    return content


def as_csv(table: Cells) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    # A number and its deviation stay on one line in narrow columns.
    return text.getvalue().replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")


def with_numbers(text: str, sentence: str, numbers: Iterable[str]) -> str:
    """Return a page with other numbers in a sentence.

    Raises
    ------
    ValueError : if the page does not have the sentence.
    """
    words = (re.escape(part).replace(r"\ ", r"\s+") for part in sentence.split("#"))
    found = re.search(r"([\d.,]*\d)".join(words), text)
    if found is None:
        raise ValueError(f"no page has the sentence {sentence!r}. Change it in benchmarks/_pages.py, too.")
    for group, number in reversed([*enumerate(numbers, 1)]):
        text = text[: found.start(group)] + number + text[found.end(group) :]
    return text


def documentation() -> dict[Path, str]:
    """Return what files and pages of the documentation should contain."""
    pages = {DOCS / f"{name}.csv": as_csv(table(read(result))) for name, (result, table) in FILES.items()}
    for name, sentences in SENTENCES.items():
        path = (DOCS / name).resolve()
        text = path.read_text()
        for sentence, (result, numbers) in sentences.items():
            text = with_numbers(text, sentence, numbers(read(result)))
        pages[path] = text
    return pages
