"""On which data does it help? A hundred data sets of five kinds, compared with baselines that a user could try instead.

Every representation is fitted to the training rows without labels; a logistic regression learns from 1, 5 and 20 labels
per class, in ten draws, and from all labels. Baselines are computed once; an interrupted run keeps finished results.
Without `--idea` the whole panel is measured; an idea is a line of CONFIGURATIONS in _panel_rows.py, evaluated on the
dev half of its kinds with one seed.
"""

import argparse
import json
import os
import re
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _common import RESULTS, save, surroundings
from _panel_data import BUDGETS, KINDS, QUICK, Entry, Set, catalogue, draws, fingerprint, smoke_catalogue
from _panel_judging import SCALINGS, judge, scored
from _panel_ranks import diagram, ranked
from _panel_rows import BASELINES, CONFIGURATIONS, TREES, configured, missing_packages, tree_predictions
from _panel_tables import markdown, rows_of_kind, summary
from joblib import Parallel, delayed

# Results of other protocols are not reused: raise it if draws, scaling, penalties or baselines change.
PROTOCOL = 1
WHOLE = (*BASELINES, *TREES, "untrained encoder", "embedding")
SMOKE = ("raw", "random kernels", "TF-IDF", "smoke")


class Store:
    """Results in a file, by set and source, written after each; those of other data or protocols are dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.sets: dict[str, Any] = kept["sets"] if kept.get("protocol") == PROTOCOL else {}

    def lacks(self, entry: Entry, source: str, found: str, n_seeds: int) -> bool:
        of_set = self.sets.get(entry.name, {})
        rows = of_set.get("sources", {}).get(source, {}).values()
        return of_set.get("fingerprint") != found or not rows or any(row["n_seeds"] < n_seeds for row in rows)

    def add(self, entry: Entry, source: str, facts: dict[str, Any], rows: dict[str, Any]) -> None:
        if self.sets.get(entry.name, {}).get("fingerprint") != facts["fingerprint"]:
            self.sets[entry.name] = {"kind": entry.kind, "halves": entry.halves, **facts, "sources": {}}
        self.sets[entry.name]["sources"][source] = rows
        self.write()

    def write(self) -> None:
        """Write one line per set, and replace the file atomically."""
        head = json.dumps({"benchmark": "panel", **surroundings(), "protocol": PROTOCOL}, indent=2)
        lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(self.sets[name])}" for name in sorted(self.sets))
        part = self.path.with_suffix(".part")
        part.write_text(f'{head[:-2]},\n  "sets": {{\n{lines}\n  }}\n}}\n')
        os.replace(part, self.path)


# -- measuring ----------------------------------------------------------------------------------------


def seeds_of(source: str, n_seeds: int) -> int:
    """Return how often a source is fitted: baselines once, and trees with a seed for each draw."""
    return n_seeds if source in CONFIGURATIONS else 1


def facts_of(given: Set) -> dict[str, Any]:
    missing = [budget for budget in BUDGETS if not draws(given.y, budget)]
    sizes = {"n_train": len(given.y), "n_test": len(given.y_test), "n_classes": int(given.y.max()) + 1}
    return {"fingerprint": fingerprint(given), **sizes, "budgets_left_out": missing}


def measure(entry: Entry, source: str, n_seeds: int) -> tuple[Entry, str, dict[str, Any], dict[str, Any]]:
    """Measure the rows of a source on a set; the scores of several seeds are averaged draw by draw."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    given = entry.read()
    if source in TREES:
        of_seeds = [tree_rows(source, entry.kind, given)]
    else:
        of_seeds = [seed_rows(source, entry.kind, given, seed) for seed in range(seeds_of(source, n_seeds))]
    rows = averaged(of_seeds)
    return entry, source, facts_of(given), {name: {"n_seeds": len(of_seeds), **row} for name, row in rows.items()}


def tree_rows(source: str, kind: str, given: Set) -> dict[str, Any]:
    start = time.process_time()
    predicted = tree_predictions(source, kind, given)
    scores = {SCALINGS[0]: {budget: scored(classes, given.y_test) for budget, classes in predicted.items()}}
    return {source: {"scores": scores, "fit_s": 0.0, "judge_s": time.process_time() - start}}


def seed_rows(source: str, kind: str, given: Set, seed: int) -> dict[str, Any]:
    """Return the scores and processor times of each row, from one fit."""
    start = time.process_time()
    if source in CONFIGURATIONS:
        features: dict[str, Any] = configured(source, kind, given, seed)
    else:
        features = {source: BASELINES[source].features(kind, given, seed)}
    seconds, rows = time.process_time() - start, {}
    for name, (train, test) in features.items():
        start = time.process_time()
        scores = judge(train, test, given.y, given.y_test)
        rows[name] = {"scores": scores, "fit_s": seconds, "judge_s": time.process_time() - start}
    return rows


def averaged(of_seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of nested numbers."""
    first = of_seeds[0]
    if isinstance(first, dict):
        return {key: averaged([some[key] for some in of_seeds]) for key in first}
    return np.round(np.mean(of_seeds, axis=0), 5).tolist()


# -- the command --------------------------------------------------------------------------------------


def tasks(entries: list[Entry], sources: list[str], stores: dict[str, Store], n_seeds: int) -> list[tuple[Entry, str]]:
    """Return the open measurements, small sets first, so that an interrupted run has finished most of them."""
    found = []
    for entry in entries:
        if applicable := [source for source in sources if entry.kind in kinds_of(source)]:
            given = entry.read()
            kept, size = fingerprint(given), len(given.y) * len(np.unique(given.y))
            lacking = [s for s in applicable if stores[s].lacks(entry, s, kept, seeds_of(s, n_seeds))]
            found.append((size, [(entry, source) for source in lacking]))
    return [task for _, of_set in sorted(found, key=lambda pair: pair[0]) for task in of_set]


def kinds_of(source: str) -> tuple[str, ...]:
    if source in CONFIGURATIONS:
        return tuple(CONFIGURATIONS[source])
    return TREES[source][0] if source in TREES else BASELINES[source].kinds


def stores_of(sources: list[str], folder: Path, tag: str) -> dict[str, Store]:
    """Return the file of each source: one for all baselines, one for each configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    baselines = Store(folder / "baselines.json")
    own = {source: re.sub(r"\W+", "_", source) + tag for source in sources if source in CONFIGURATIONS}
    return {s: Store(folder / f"{own[s]}.json") if s in own else baselines for s in sources}


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="folder of the data sets, which contains ucr/ and keel/")
    where.add_argument("--smoke", action="store_true", help="tiny sets and one epoch, in seconds; saves no results")
    parser.add_argument("--half", choices=("dev", "other", "all"), help="default: all, and dev with --idea")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--sets", nargs="+", help="names of sets, such as ucr/Wine")
    parser.add_argument("--quick", action="store_true", help="12 small sets, one seed")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--rows", nargs="+", choices=(*BASELINES, *TREES, *CONFIGURATIONS), default=WHOLE)
    what.add_argument("--idea", nargs="+", choices=CONFIGURATIONS, help="configurations, on the dev half with one seed")
    parser.add_argument(
        "--seeds", type=int, help="fits of each configuration; default: 2, and 1 with --idea or --quick"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--tag", default="", help="added to the names of the configurations' files, such as @before")
    parser.add_argument("--results", type=Path, default=RESULTS / "panel")
    return parser


def chosen(arguments: argparse.Namespace, half: str) -> list[Entry]:
    """Return the selected sets."""
    if arguments.smoke:
        return smoke_catalogue()
    entries = [e for e in catalogue(arguments.data) if e.kind in arguments.kind and half in (*e.halves, "all")]
    names = arguments.sets or (QUICK if arguments.quick else [e.name for e in entries])
    return [e for e in entries if e.name in names]


def report(folder: Path, half: str) -> dict[str, Any]:
    """Print the tables of a half, draw the ranks on all sets at 5 labels, and return the results."""
    result = summary(folder)
    print(markdown(result, half))
    for kind in result["kinds"]:
        if ranks := ranked(rows_of_kind(folder, kind), "5"):
            diagram(kind, ranks, "5").savefig(folder / f"{kind}.svg", metadata={"Date": None})
    return result


def published(folder: Path) -> dict[str, Any]:
    """Return the published accuracies of series, with all labels, by set."""
    path = folder / "ucr" / "reference.csv"
    table = pd.read_csv(path, index_col="dataset").iloc[:, 4:] if path.exists() else pd.DataFrame()
    return {f"ucr/{name}": row.dropna().to_dict() for name, row in table.iterrows()}


def main() -> None:
    arguments = options().parse_args()
    if arguments.smoke:
        arguments.results, arguments.rows = Path(tempfile.mkdtemp()), SMOKE
    half = arguments.half or ("dev" if arguments.idea else "all")
    missing = missing_packages()
    for row in missing:
        print(f"{row} is left out: {BASELINES[row].package} is not installed")
    sources = [row for row in arguments.idea or arguments.rows if row not in missing]
    n_seeds = arguments.seeds or (1 if arguments.idea or arguments.quick or arguments.smoke else 2)
    stores = stores_of(sources, arguments.results, arguments.tag)
    left = tasks(chosen(arguments, half), sources, stores, n_seeds)
    parallel = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")
    for number, (entry, source, facts, rows) in enumerate(parallel(delayed(measure)(*t, n_seeds) for t in left), 1):
        stores[source].add(entry, source, facts, rows)
        fit_s, judge_s = max(row["fit_s"] for row in rows.values()), sum(row["judge_s"] for row in rows.values())
        print(f"{number}/{len(left)} {entry.name}: {source}, fit {fit_s:.0f} s, evaluation {judge_s:.0f} s", flush=True)
    result = report(arguments.results, half)
    if arguments.results == RESULTS / "panel":
        save("panel", surroundings() | {"rows_left_out": missing} | result | {"published": published(arguments.data)})


if __name__ == "__main__":
    main()
