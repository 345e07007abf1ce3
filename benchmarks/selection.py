"""Which score without labels ranks models as a linear probe does?

26 configurations on two data sets: temperatures, frameworks, strengths of views, epochs. Each is trained without
labels. Every score is computed on held-out samples without labels; scores of two views are computed with the
configuration's own views and with the default views. The reference is a linear probe with all labels or 10 per class;
agreement is the Spearman correlation over the configurations.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _common import load, parser, write
from joblib import Memory
from scipy.stats import spearmanr

from skclr import ContrastiveEmbedder
from skclr.evaluation import (
    alignment,
    collapsed_share,
    draw_labels,
    effective_rank,
    embed,
    embed_two_views,
    feature_std,
    info_nce_bound,
    linear_probe,
    neighbor_overlap,
    uniformity,
    view_auc,
)
from skclr.training import embed_views
from skclr.views import MarginalCorruption

LABELS, N_DRAWS = 10, 5
TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 1.0)
FRAMEWORKS = ("moco", "byol", "swav", "barlow_twins")

# The scores; -1 if less is better.
OF_ONE: dict[str, tuple[Callable[[np.ndarray], float], int]] = {
    "uniformity": (uniformity, -1),
    "effective_rank": (effective_rank, 1),
    "collapsed_share": (collapsed_share, -1),
    "feature_std": (feature_std, 1),
}
OF_TWO: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], int]] = {
    "alignment": (alignment, -1),
    "neighbor_overlap": (neighbor_overlap, 1),
    "info_nce_bound": (info_nce_bound, 1),
    "view_auc": (view_auc, 1),
}

Params = dict[str, Any]


def satellite(folder: Path) -> tuple[np.ndarray, ...]:
    data = load(folder, "satellite")
    X, y, test = data["X_num"], data["y"], data["is_test"]
    return X[~test], y[~test], X[test], y[test]


def mnist(folder: Path) -> tuple[np.ndarray, ...]:
    data = load(folder, "mnist_15k")
    return data["X_train"][:2000], data["y_train"][:2000], data["X_test"][:1500], data["y_test"][:1500]


# Views of three strengths, epochs, and the encoder.
SETS: dict[str, tuple[Callable[[Path], tuple[np.ndarray, ...]], dict[str, Params], int, Params]] = {
    "satellite": (
        satellite,
        {
            "weak": {"n_neighbors": 2, "on_top": MarginalCorruption(n_views=1, rate=0.02)},
            "default": {},
            "strong": {"n_neighbors": 200, "on_top": MarginalCorruption(n_views=1, rate=0.7)},
        },
        20,
        {},
    ),
    "mnist": (
        mnist,
        {
            "weak": {"crop_scale": (0.95, 1.0), "rotation": 0.0, "brightness": 0.1, "contrast": 0.1},
            "default": {},
            "strong": {"crop_scale": (0.08, 0.5), "rotation": 90.0, "brightness": 0.8, "contrast": 0.8},
        },
        6,
        {"encoder_params": {"width": 16}},
    ),
}


def configurations(views: dict[str, Params], epochs: int) -> dict[str, Params]:
    """Return the configurations."""
    listed: dict[str, Params] = {
        f"simclr, temperature {t:g}, {name} views": {
            "loss_params": {"temperature": t},
            "views_params": params,
            "max_epochs": epochs,
        }
        for t in TEMPERATURES
        for name, params in views.items()
    }
    listed |= {
        f"{framework}, {name} views": {
            "framework": framework,
            "views_params": views[name],
            "max_epochs": epochs,
        }
        for framework in FRAMEWORKS
        for name in ("default", "strong")
    }
    listed |= {f"simclr, {n} epochs": {"max_epochs": n} for n in (0, 1, 3 * epochs)}
    return listed


def learn(params: Params, X: np.ndarray, X_test: np.ndarray) -> dict[str, Any]:
    """Fit one configuration and return the embeddings for probes and scores."""
    embedder = ContrastiveEmbedder(batch_size=128, random_state=0, **params).fit(X)
    shown = ContrastiveEmbedder(max_epochs=0).fit(X).make_views(X_test)
    return {
        "train": embed(embedder, X),
        "test": embed(embedder, X_test),
        "own views": embed_two_views(embedder, X_test),
        "default views": embed_views(embedder.encoder_, shown, embedder.device_),
        "loss": embedder.loss_curve_[-1] if embedder.loss_curve_ else float("nan"),
    }


def measure(learned: dict[str, Any], y: np.ndarray, y_test: np.ndarray) -> dict[str, float]:
    """Return the probes, with labels, and the scores, without labels, of one configuration."""
    train, test = learned["train"], learned["test"]
    few = [linear_probe(train[rows], y[rows], test, y_test) for rows in draw_labels(y, LABELS, N_DRAWS)]
    values = {"probe, all labels": linear_probe(train, y, test, y_test), "probe, 10 labels": float(np.mean(few))}
    values |= {name: sign * function(test) for name, (function, sign) in OF_ONE.items()}
    for views in ("own views", "default views"):
        z1, z2 = learned[views]
        values |= {f"{name}, {views}": sign * function(z1, z2) for name, (function, sign) in OF_TWO.items()}
        values[f"alignment + uniformity, {views}"] = values["uniformity"] + values[f"alignment, {views}"]
    return {**values, "training loss": -learned["loss"]}


def agreement(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the Spearman correlation of every score with both probes."""
    columns = {name: np.array([row[name] for row in rows.values()]) for name in next(iter(rows.values()))}
    probes = [name for name in columns if name.startswith("probe")]
    return {
        name: {probe: float(spearmanr(columns[probe], values, nan_policy="omit").statistic) for probe in probes}
        for name, values in columns.items()
        if name not in probes
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--cache", type=Path, help="folder for finished fits, to resume an interrupted run")
    arguments = options.parse_args()
    results = {}
    cached = Memory(arguments.cache, verbose=0).cache(learn)
    for name, (read, views, epochs, params) in SETS.items():
        X, y, X_test, y_test = read(arguments.data)
        rows = {}
        for label, configuration in configurations(views, epochs).items():
            rows[label] = measure(cached({**params, **configuration}, X, X_test), y, y_test)
            print(f"{name}: {label:42} {rows[label]['probe, all labels']:.3f}", flush=True)
        agreed = agreement(rows)
        # JSON has no NaN, the loss of an untrained encoder.
        rows = {label: {key: v for key, v in row.items() if v == v} for label, row in rows.items()}
        results[name] = {"epochs": epochs, "configurations": rows, "spearman": agreed}
        for key, row in results[name]["spearman"].items():
            print(f"{name}: {key:40}" + "".join(f"{value:8.2f}" for value in row.values()))
    write("selection", {"labels_per_class": LABELS, "n_draws": N_DRAWS, "sets": results})


if __name__ == "__main__":
    main()
