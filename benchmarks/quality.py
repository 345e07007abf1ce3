"""CIFAR-10 without labels: what the frameworks learn, compared with baselines and with lightly's own parts.

All have the same small encoder, number of epochs and optimiser; each framework has its own recipe, which lightly's
loss, heads and transforms share. The frozen features are evaluated by a linear probe, whose penalty is chosen on a
fifth of the training images, and by a weighted vote of nearest neighbours. Then the losses of SimCLR's table 4, with
SimCLR.
"""

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import RESULTS, load, parser, write
from joblib import Memory, Parallel, delayed
from sklearn.decomposition import PCA

from skclr import ContrastiveEmbedder
from skclr.encoders import Conv
from skclr.evaluation import knn_probe, linear_probe
from skclr.frameworks import FRAMEWORKS, Supervised

BATCH_SIZE = 256
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# Seeds of rows that are not compared with lightly: the table of losses, and float32.
SIDE_SEEDS = 2

FIVE = ("simclr", "moco", "byol", "swav", "barlow_twins")
# lightly's default, which is the paper's for CIFAR-10.
WARM = "simclr, temperature 0.5"
SUPERVISED = {"positives": "labels"}
OURS: dict[str, dict[str, Any]] = {
    **{name: {"framework": name} for name in FIVE},
    WARM: {"loss_params": {"temperature": 0.5}},
    "sup_con": {"loss": "sup_con", **SUPERVISED},
}
REFERENCES: dict[str, dict[str, Any]] = {
    "untrained encoder": {"max_epochs": 0},
    "supervised network": {"framework": Supervised, "framework_params": {"n_classes": 10}, **SUPERVISED},
}
# SimCLR's table 4 (ResNet-50, ImageNet, linear probe, %), and the same losses here.
PAPER = {
    "margin": 50.9,
    "logistic": 51.6,
    "margin, semi-hard": 57.5,
    "logistic, semi-hard": 57.9,
    "nt_xent": 63.9,
}
LOSSES: dict[str, dict[str, Any]] = {
    "margin": {"loss": "triplet", "loss_params": {"mining": "all"}},
    "logistic": {"loss": "logistic", "loss_params": {"bias": 0.0}},
    "margin, semi-hard": {"loss": "triplet"},
    "logistic, semi-hard": {"loss": "logistic", "loss_params": {"bias": 0.0, "mining": "semi_hard"}},
    "logistic, SigLIP's bias": {"loss": "logistic"},
}

Scores = dict[str, float]


def judge(train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> Scores:
    """Return the accuracy of both probes."""
    return {
        "linear": linear_probe(train, y, test, y_test, penalties=PENALTIES),
        "knn": knn_probe(train, y, test, y_test),
    }


def baseline(name: str, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> Scores:
    train, test = (images.reshape(len(images), -1).astype(np.float32) / 255 for images in (X, X_test))
    if name == "PCA":
        pca = PCA(256, random_state=0).fit(train)
        train, test = pca.transform(train), pca.transform(test)
    return judge(train, y, test, y_test)


def ours(
    params: dict[str, Any],
    epochs: int,
    precision: str,
    seed: int,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
) -> Scores:
    training = {"max_epochs": epochs, "precision": precision, "batch_size": BATCH_SIZE, "random_state": seed}
    embedder = ContrastiveEmbedder(**{**training, **params})
    start = time.perf_counter()
    embedder.fit(X, y)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **judge(embedder.transform(X), y, embedder.transform(X_test), y_test)}


def lightly(
    name: str,
    epochs: int,
    precision: str,
    seed: int,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
) -> Scores:
    from _lightly import as_it_sees, train

    torch.manual_seed(seed)
    encoder = Conv((3, *X.shape[1:3])).to(memory_format=torch.channels_last)
    seconds = train(
        name,
        encoder,
        encoder.out_features,
        X,
        FRAMEWORKS[name.partition(",")[0]].recipes["adamw"],
        epochs=epochs,
        batch_size=BATCH_SIZE,
        autocast=None if precision == "float32" else getattr(torch, precision),
        seed=seed,
    )
    with torch.inference_mode():
        encoder.eval()
        features = [torch.cat([encoder(x) for x in as_it_sees(a).split(500)]).numpy() for a in (X, X_test)]
    return {"seconds": seconds, **judge(features[0], y, features[1], y_test)}


def measurements(epochs: int, precision: str, n_seeds: int, peers: bool) -> list[tuple[Any, ...]]:
    """List every measurement: table, row, seed, function and its arguments; seed by seed."""
    listed: list[tuple[Any, ...]] = [("baselines", name, 0, baseline, (name,)) for name in ("raw pixels", "PCA")]
    for seed in range(n_seeds):
        settings = (epochs, precision, seed)
        side = LOSSES if seed < SIDE_SEEDS else {}
        for table, rows in (("baselines", REFERENCES), ("skclr", OURS), ("losses", side)):
            listed += [(table, name, seed, ours, (params, *settings)) for name, params in rows.items()]
        if seed < SIDE_SEEDS:
            listed += [("precision", f"{WARM}, float32", seed, ours, (OURS[WARM], epochs, "float32", seed))]
        listed += [("lightly", name, seed, lightly, (name, *settings)) for name in (*FIVE, WARM) if peers]
    return listed


def summarize(scores: list[Scores]) -> dict[str, Any]:
    """Return mean, standard deviation and all values of measurements with several seeds."""
    summary: dict[str, Any] = {}
    for key in scores[0]:
        values = [score[key] for score in scores]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        summary[key] = {"mean": float(np.mean(values)), "std": spread, "values": values}
    return summary


def before(name: str, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tables measured before with the same settings."""
    path = RESULTS / f"{name}.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    same = all(record.get(key) == value for key, value in settings.items())
    return record["tables"] if same else {}


def show(tables: dict[str, dict[str, Any]]) -> None:
    for table, rows in tables.items():
        print(f"\n{table:28}{'linear probe, %':>18}{'kNN, %':>16}{'fit, s':>10}")
        for name, row in rows.items():
            judged = "".join(f"{100 * row[j]['mean']:11.1f} ± {100 * row[j]['std']:.1f}" for j in ("linear", "knn"))
            paper = f"   paper {PAPER[name]}" if table == "losses" and name in PAPER else ""
            print(f"{name:30}{judged}{row.get('seconds', {'mean': 0})['mean']:10.0f}{paper}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=15)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16"))
    options.add_argument("--jobs", type=int, default=2, help="measurements at a time, which share the cores")
    options.add_argument("--cache", type=Path, help="folder for finished measurements, to resume an interrupted run")
    options.add_argument("--only", nargs="+", help="tables to measure: baselines skclr losses precision lightly")
    options.add_argument("--rows", nargs="+", help="rows of them to measure; others stay as they are")
    arguments = options.parse_args()
    data = load(arguments.data, "cifar10_12k")
    arrays = [data[key] for key in ("X_train", "y_train", "X_test", "y_test")]
    peers = find_spec("lightly") is not None
    if not peers:
        print("lightly is not installed; its rows are left out")
    listed = measurements(arguments.epochs, arguments.precision, arguments.seeds, peers)
    listed = [entry for entry in listed if not arguments.only or entry[0] in arguments.only]
    listed = [entry for entry in listed if not arguments.rows or entry[1] in arguments.rows]

    memory = Memory(arguments.cache, verbose=0)
    calls = (delayed(memory.cache(function))(*given, *arrays) for *_, function, given in listed)
    collected: dict[str, dict[str, list[Scores]]] = {}
    for (table, name, seed, *_), scores in zip(
        listed, Parallel(arguments.jobs, return_as="generator")(calls), strict=True
    ):
        collected.setdefault(table, {}).setdefault(name, []).append(scores)
        print(f"{table:12}{name:28}seed {seed}  " + "  ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
    settings = {key: getattr(arguments, key) for key in ("epochs", "seeds", "precision", "jobs")}
    tables = before("quality", settings)
    for table, rows in collected.items():
        tables.setdefault(table, {}).update({name: summarize(scores) for name, scores in rows.items()})
    if "losses" in tables and "skclr" in tables:
        tables["losses"] |= {"nt_xent": tables["skclr"]["simclr"], "nt_xent, temperature 0.5": tables["skclr"][WARM]}
    show(tables)
    write(
        "quality",
        {**settings, "batch_size": BATCH_SIZE, "tables": tables, "paper_of_losses": PAPER},
        ("lightly",) if peers else (),
    )


if __name__ == "__main__":
    main()
