"""Every framework at its defaults on small data, compared with raw features and the encoder before training.

Each fit is a process of its own; `--against` adds another checkout at its own defaults. Data and judges are those of
time_to_accuracy.py. Finished fits are kept, so an interrupted run continues.
"""

from pathlib import Path
from typing import Any

from _against import ROOT, commit
from _common import parser, save, saved, surroundings
from _panel_rows import dense
from time_to_accuracy import ALL_SETS, JUDGES, judge, measure_with

from skclr.frameworks import FRAMEWORKS

NAME = "frameworks"
# By set, the kind of its data.
SETS = {
    "wine": "tables",
    "satellite": "tables",
    "covtype": "tables",
    "JapaneseVowels": "series",
    "mnist, 1,600 rows": "images",
    "cifar10, 4,000 rows": "images",
}
Runs = dict[str, dict[str, float]]
"""Accuracies and times by seed."""


def raw(name: str, folder: Path) -> dict[str, float]:
    given = ALL_SETS[name](folder)
    train, test = dense(SETS[name], given, 0)
    return judge(train, given.y, test, given.y_test)


def measure(checkout: Path, runs: Runs, line: str, job: dict[str, Any], n_seeds: int) -> None:
    """Add the seeds that are missing."""
    for seed in range(n_seeds):
        if str(seed) not in runs:
            runs[str(seed)] = run = measure_with(checkout, {"line": line, "seed": seed, "threads": 1, **job})
            told = "  ".join(f"{key} {100 * run[key]:.1f}" for key in JUDGES)
            seconds = run["processor_seconds"]
            print(f"{job['set']:20} {line:13} {job['framework']:13} seed {seed} {seconds:6.1f} s  {told}", flush=True)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", choices=SETS, default=[name for name in SETS if name != "wine"])
    options.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--against", type=Path, help="another checkout, at its own defaults")
    arguments = options.parse_args()
    checkouts = {"skclr": ROOT} | ({"skclr before": arguments.against} if arguments.against else {})
    for name in arguments.sets:
        kept = saved(NAME)
        found = kept.setdefault("sets", {}).setdefault(name, {})
        found |= surroundings() | {"commits": {line: commit(checkout) for line, checkout in checkouts.items()}}
        rows = found.setdefault("rows", {"raw": {"0": raw(name, arguments.data)}})
        job: dict[str, Any] = {"set": name, "data": str(arguments.data)}
        untrained = rows.setdefault("untrained", {})
        measure(ROOT, untrained, "skclr", {**job, "framework": "simclr", "share": 0}, arguments.seeds)
        for framework in arguments.frameworks:
            for line, checkout in checkouts.items():
                runs = rows.setdefault(f"{line}: {framework}", {})
                measure(checkout, runs, line, {**job, "framework": framework, "share": 1}, arguments.seeds)
                save(NAME, {"judges": JUDGES, "sets": kept["sets"]})


if __name__ == "__main__":
    main()
