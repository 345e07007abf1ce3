"""Does pretraining help? `skclr.compare` on six data sets, twice with one seed; both tables must be equal.

Samples, epochs, folds, draws and frameworks are reduced so that it takes minutes. The sentences are about these runs
and are not a verdict on the data.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import parser, saved, write
from modalities import image, series, table, text
from sklearn.datasets import load_digits

from skclr import compare
from skclr.data import Rows
from skclr.evaluation import Comparison

SEED = 0
LABELS = (5, 10)
FRAMEWORKS = ["simclr", "byol"]
TIMES = ("fit_seconds", "rows_per_second")


class Set(NamedTuple):
    """Options to read and reduce a data set: samples and epochs."""

    read: Callable[[Path], tuple[Any, np.ndarray]]
    n_samples: int
    max_epochs: int


def digits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 1, 8, 8).astype(np.float32), y


SETS = {
    "digits": Set(digits, 900, 30),
    "mnist_15k": Set(lambda folder: image(folder, "mnist_15k")[:2], 600, 20),
    "adult": Set(lambda folder: table(folder, "adult")[:2], 900, 30),
    "satellite": Set(lambda folder: table(folder, "satellite")[:2], 900, 30),
    "trec": Set(lambda folder: text(folder, "trec")[:2], 900, 30),
    "GunPoint": Set(lambda folder: whole(*series(folder, "GunPoint")[:4]), 200, 60),
}


def whole(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join both parts, since 50 training series are too few for folds."""
    return np.concatenate([X, X_test]), np.concatenate([y, y_test])


def run(given: Set, X: Any, y: np.ndarray, n_folds: int) -> Comparison:
    return compare(
        X,
        y,
        FRAMEWORKS,
        ["raw features", "PCA", "untrained encoder", "supervised network"],
        labels_per_class=LABELS,
        embedder_params={"max_epochs": given.max_epochs},
        n_draws=2,
        cv=n_folds,
        random_state=SEED,
        verbose=1,
    )


def without_times(found: Comparison) -> str:
    """Return the table as text, with all digits."""
    return repr([{key: value for key, value in record.items() if key not in TIMES} for record in found.records])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options.add_argument("--folds", type=int, default=3)
    arguments = options.parse_args()
    results = saved("compare").get("sets", {})
    settings = {"seed": SEED, "folds": arguments.folds, "frameworks": FRAMEWORKS, "labels_per_class": LABELS}
    for name in arguments.sets:
        given = SETS[name]
        X, y = given.read(arguments.data)
        rows = np.random.default_rng(SEED).permutation(len(y))[: given.n_samples]
        X, y = Rows.of(X)[rows].single(), y[rows]
        found, again = (run(given, X, y, arguments.folds) for _ in range(2))
        equal = without_times(found) == without_times(again)
        print(f"\n{name}\n{found}\nequal twice: {equal}\n", flush=True)
        results[name] = {
            "n_samples": len(y),
            "max_epochs": given.max_epochs,
            # JSON has no NaN, the difference of a baseline from itself.
            "records": [{key: value for key, value in record.items() if value == value} for record in found.records],
            "sentence": found.verdict.sentence,
            "helped": found.verdict.helped,
            "difference": found.verdict.difference._asdict(),
            "equal_twice": equal,
        }
        # After each set, so that an interrupted run keeps its results.
        write("compare", {**settings, "sets": results})


if __name__ == "__main__":
    main()
