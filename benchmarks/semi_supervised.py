"""SemiSupervisedClassifier compared with those of scikit-learn, on the tables and series of the panel.

The embedder is fitted once for all draws of labels, which it does not see; classifiers are those of
SemiSupervisedClassifier, frozen with 5 and 20 labels per class, and fine-tuned in fewer draws, since that takes longer.
Rows of a set are kept when a run is stopped.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import save, saved, surroundings
from _panel_data import Entry, Set, catalogue, draws, smoke_catalogue
from _panel_rows import dense
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from skclr import ContrastiveEmbedder
from skclr.fine_tuning import STEPS, tune
from skclr.logistic import fit_recommended

NAME, KINDS, BUDGETS = "semi_supervised", ("tables", "series"), (5, 20)
N_DRAWS = 5
FROZEN, TUNED = "SemiSupervisedClassifier", "fine_tune=True"
PEERS = {
    "LabelSpreading": lambda: LabelSpreading(kernel="knn"),
    "SelfTraining": lambda: SelfTrainingClassifier(LogisticRegression(max_iter=1000)),
}
Scores = dict[str, dict[str, list[float]]]


def measure(kind: str, given: Set, n_draws: int, n_tuned: int, n_steps: int) -> dict[str, Any]:
    """Return the accuracies of each classifier, by number of labels and draw, and the seconds of the tunings."""
    embedder = ContrastiveEmbedder(**given.params, random_state=0).fit(given.X)
    features = [embedder.transform(part) for part in (given.X, given.X_test)]
    values = dense(kind, given, 0)
    scores: Scores = {}
    seconds = []
    for budget in BUDGETS:
        found = scores[str(budget)] = {name: [] for name in (FROZEN, TUNED, *PEERS)}
        for number, rows in enumerate(draws(given.y, budget, n_draws)):
            found[FROZEN].append(frozen(*features, given, rows))
            if number < n_tuned:
                start = time.process_time()
                found[TUNED].append(tuned(embedder, given, rows, n_steps))
                seconds.append(time.process_time() - start)
            for name, make in PEERS.items():
                found[name].append(of_peer(make(), *values, given, rows))
    return {"n_train": len(given.y), "accuracy": scores, "tuning_s": round(float(np.mean(seconds or [0])), 2)}


def accuracy(predicted: np.ndarray, given: Set) -> float:
    return round(float((predicted == given.y_test).mean()), 5)


def frozen(train: Any, test: Any, given: Set, rows: np.ndarray) -> float:
    return accuracy(fit_recommended(train[rows], given.y[rows]).predict(test), given)


def tuned(embedder: ContrastiveEmbedder, given: Set, rows: np.ndarray, n_steps: int) -> float:
    X = given.X.iloc[rows] if hasattr(given.X, "iloc") else given.X[rows]
    model, head = tune(embedder.model_, X, given.y[rows], n_steps=n_steps)
    return accuracy(head.predict(model.transform(given.X_test)), given)


def of_peer(model: Any, train: Any, test: Any, given: Set, rows: np.ndarray) -> float:
    partly = np.full(len(given.y), -1)
    partly[rows] = given.y[rows]
    return accuracy(model.fit(train, partly).predict(test), given)


def summary(sets: dict[str, Any], half: str) -> dict[str, Any]:
    """Return means, wins at 5 labels, and what fine-tuning changes, by kind."""
    result = {}
    for kind in KINDS:
        of_kind = [s["accuracy"] for s in sets.values() if s["kind"] == kind and half in s["halves"]]
        rows: dict[str, Any] = {}
        for budget in map(str, BUDGETS):
            measured = [scores[budget] for scores in of_kind if scores[budget][FROZEN]]
            if not measured:
                continue
            means = {name: np.array([np.mean(scores[name]) for scores in measured]) for name in (FROZEN, *PEERS)}
            pairs = [(scores[TUNED], scores[FROZEN][: len(scores[TUNED])]) for scores in measured if scores[TUNED]]
            change = [np.mean(tuned) - np.mean(frozen) for tuned, frozen in pairs]
            rows[budget] = {
                "n_sets": len(measured),
                "mean": {name: round(float(values.mean()), 4) for name, values in means.items()},
                "better_than": {name: int((means[FROZEN] > means[name]).sum()) for name in PEERS},
                "fine_tuning": {
                    "n_sets": len(change),
                    **(
                        {"mean": round(float(np.mean(change)), 4), "worst": round(float(np.min(change)), 4)}
                        if change
                        else {}
                    ),
                },
            }
        result[kind] = rows
    return result


def markdown(result: dict[str, Any]) -> str:
    """Return a table with one row for each half, kind and number of labels."""
    rows = [
        f"| sets | labels per class | {FROZEN} | {' | '.join(PEERS)} | better on | fine-tuning: mean, worst |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for half, kinds in result["halves"].items():
        for kind, budgets in kinds.items():
            for budget, row in budgets.items():
                means = " | ".join(f"{100 * value:.1f}" for value in row["mean"].values())
                better = " / ".join(map(str, row["better_than"].values()))
                tuning = row["fine_tuning"]
                change = (
                    f"{100 * tuning['mean']:+.1f}, {100 * tuning['worst']:+.1f} ({tuning['n_sets']} sets)"
                    if tuning["n_sets"]
                    else ""
                )
                rows.append(f"| {kind}, {half} half | {budget} | {means} | {better} of {row['n_sets']} | {change} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="folder of the data sets, with ucr/ and keel/ in it")
    where.add_argument("--smoke", action="store_true", help="one draw of tiny sets; keeps no results")
    parser.add_argument("--half", choices=("dev", "other"), default="dev")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--tuned", type=int, default=2, help="number of draws in which the encoder is fine-tuned, too")
    arguments = parser.parse_args()
    sizes = (1, 1, 8) if arguments.smoke else (N_DRAWS, arguments.tuned, STEPS)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    entries: list[Entry] = smoke_catalogue() if arguments.smoke else catalogue(arguments.data)
    # A run that is stopped has finished most.
    entries.sort(key=lambda entry: len(entry.read().y) if entry.kind in arguments.kind else 0)
    sets = {} if arguments.smoke else saved(NAME).get("sets", {})
    result: dict[str, Any] = {}
    for entry in entries:
        if entry.kind not in arguments.kind or arguments.half not in entry.halves or entry.name in sets:
            continue
        sets[entry.name] = {
            "kind": entry.kind,
            "halves": entry.halves,
            **measure(entry.kind, entry.read(), *sizes),
        }
        print(entry.name, flush=True)
        halves = {half for each in sets.values() for half in each["halves"]}
        result = {**surroundings(), "halves": {half: summary(sets, half) for half in sorted(halves)}, "sets": sets}
        if not arguments.smoke:
            save(NAME, result)
    print(markdown(result))


if __name__ == "__main__":
    main()
