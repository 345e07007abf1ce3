"""Which settings suit tables? They are chosen on held-out training rows; the test rows are not used.

A quarter of the training rows of each set is held out. The classifier learns from 10 labels per class of the others, in
20 draws, on the standardised inputs alone and with the embedding; the result is what the embedding adds.
"""

import time
from typing import Any

import numpy as np
from _common import parser, saved, write
from modalities import CLASSIFIER, LABELS, READERS
from sklearn.model_selection import train_test_split

from skclr import ContrastiveEmbedder
from skclr.data import Rows
from skclr.evaluation import draw_labels

N_DRAWS = 20
SETS = ("covtype_20k", "PenDigits, flat")
CORRUPTION: dict[str, Any] = {"views": "corruption", "views_params": {"rate": (0.2, 0.2)}}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "half the steps": {"max_epochs": 26},
    "twice the steps": {"max_epochs": 140},
    "twice the steps, 30 neighbours, temperature 0.5": {
        "max_epochs": 140,
        "views_params": {"n_neighbors": 30},
        "loss_params": {"temperature": 0.5},
    },
    "embedding of 512": {"encoder_params": {"out_features": 512}},
    "plain MLP": {"encoder": "mlp"},
    "feature-tokenising transformer, 5 epochs": {"encoder": "feature_transformer", "max_epochs": 5},
    "temperature 0.1": {"loss_params": {"temperature": 0.1}},
    "temperature 0.5": {"loss_params": {"temperature": 0.5}},
    "batch of 512": {"batch_size": 512},
    "3 neighbours": {"views_params": {"n_neighbors": 3}},
    "30 neighbours": {"views_params": {"n_neighbors": 30}},
    "corruption at 0.2": CORRUPTION,
    "SCARF's corruption at 0.6": {"views": "corruption"},
    "NNCLR, corruption at 0.2": {"framework": "nnclr", **CORRUPTION},
    "Barlow Twins": {"framework": "barlow_twins"},
    "untrained": {"max_epochs": 0},
}


def gains(X: Any, y: np.ndarray, params: dict[str, Any]) -> dict[str, Any]:
    """Fit on three quarters, and return what the embedding adds to the inputs on the rest, draw by draw."""
    rows, held = train_test_split(np.arange(len(y)), test_size=0.25, random_state=0, stratify=y)
    embedder = ContrastiveEmbedder(random_state=0, **params)
    start = time.process_time()
    X = Rows.of(X)
    embedder.fit(X[rows])
    seconds = time.process_time() - start
    train, test = (embedder.transform(X[part]) for part in (rows, held))
    width = embedder.model_.n_learned
    scores = [
        [
            CLASSIFIER.fit(train[drawn, first:], y[rows][drawn]).score(test[:, first:], y[held])
            for drawn in draw_labels(y[rows], LABELS, N_DRAWS)
        ]
        for first in (width, 0)
    ]
    inputs, both = np.array(scores)
    return {
        "inputs": float(inputs.mean()),
        "gain": {"mean": float((both - inputs).mean()), "std": float((both - inputs).std(ddof=1))},
        "epochs": embedder.n_iter_,
        "processor_seconds": seconds,
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", choices=READERS["tables"], default=SETS)
    options.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    arguments = options.parse_args()
    results = saved("table_settings").get("sets", {})
    for setting in arguments.settings:
        for name in arguments.sets:
            data = READERS["tables"][name](arguments.data)
            found = results.setdefault(name, {})[setting] = gains(data.X, data.y, SETTINGS[setting])
            gain = found["gain"]
            print(f"{name:20}{setting:44}{100 * gain['mean']:+6.1f} ± {100 * gain['std']:.1f}", flush=True)
            write("table_settings", {"labels_per_class": LABELS, "n_draws": N_DRAWS, "sets": results})


if __name__ == "__main__":
    main()
