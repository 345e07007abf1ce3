"""MNIST with few labels: does the embedding, with all defaults, help a logistic regression?

One fit on the 10,000 unlabelled training images, then 5 draws of 10 labels per class. The baselines are the same
classifier on raw pixels, PCA and the untrained encoder.
"""

import time
from typing import Any

import numpy as np
from _common import load, parser, write
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skclr import ContrastiveEmbedder

N_DRAWS = 5
LABELS_PER_CLASS = 10
# The penalty depends on the scale of the features, which differs between rows of the table, so both are shown.
CLASSIFIERS = {
    "as they are": LogisticRegression(max_iter=5000),
    "standardised": make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
}


def draw(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw n rows of each class."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.choice(np.flatnonzero(y == c), n, replace=False) for c in np.unique(y)])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=1, help="number of fits, each with its own seed")
    arguments = options.parse_args()
    data = load(arguments.data, "mnist_15k")
    X, y, X_test, y_test = (data[k] for k in ("X_train", "y_train", "X_test", "y_test"))
    pixels, pixels_test = (a.reshape(len(a), -1) / 255 for a in (X, X_test))

    pca = PCA(100, random_state=0).fit(pixels)
    features = {
        "raw pixels": (pixels, pixels_test),
        "PCA": (pca.transform(pixels), pca.transform(pixels_test)),
    }
    seconds = []
    for seed in range(arguments.seeds):
        untrained = ContrastiveEmbedder(max_epochs=0, random_state=seed).fit(X)
        start = time.perf_counter()
        trained = ContrastiveEmbedder(random_state=seed, verbose=1).fit(X)
        seconds.append(time.perf_counter() - start)
        features[f"untrained encoder, seed {seed}"] = untrained.transform(X), untrained.transform(X_test)
        features[f"embedding, seed {seed}"] = trained.transform(X), trained.transform(X_test)

    rows: dict[str, dict[str, Any]] = {}
    for name, (train, test) in features.items():
        rows[name] = {}
        for kind, classifier in CLASSIFIERS.items():
            scores = []
            for number in range(N_DRAWS):
                chosen = draw(y, LABELS_PER_CLASS, number)
                scores.append(classifier.fit(train[chosen], y[chosen]).score(test, y_test))
            rows[name][kind] = {"mean": np.mean(scores), "std": np.std(scores, ddof=1), "scores": scores}
            print(f"{name:26} {kind:18} {100 * np.mean(scores):5.1f} ± {100 * np.std(scores, ddof=1):.1f} %")

    gains = {
        kind: [
            100 * (rows[f"embedding, seed {s}"][kind]["mean"] - rows["raw pixels"][kind]["mean"])
            for s in range(len(seconds))
        ]
        for kind in CLASSIFIERS
    }
    for kind, points in gains.items():
        print(f"gain over raw pixels, {kind}: {', '.join(f'{gain:+.1f}' for gain in points)} points")
    print(f"fit: {np.mean(seconds):.0f} s")
    write(
        "few_labels",
        {
            "labels_per_class": LABELS_PER_CLASS,
            "n_draws": N_DRAWS,
            "accuracy": rows,
            "gain_in_points": gains,
            "fit_seconds": seconds,
            "epochs": trained.n_iter_,
        },
    )


if __name__ == "__main__":
    main()
