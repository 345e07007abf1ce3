"""
Multi-crop: small local views besides two global ones
=====================================================

SwAV adds several small crops to two views of the whole image; they cost little if images are large. Every framework
that accepts more than two views can use them. On this data they do harm: a 5 × 5 crop of an 8 × 8 digit does not show
which digit it is, as the figure at the end shows.
"""

# %%
# ``n_local_views`` adds small views that are ``local_size`` pixels wide. The encoder must accept images of any size, as
# the default does.

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skclr import ContrastiveEmbedder
from skclr.evaluation import draw_labels, linear_probe
from skclr.plotting import ViewsDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
crops = {
    "two views": {},
    "and four of 5 × 5": {"n_local_views": 4, "local_size": 5},
}
setting = {
    "modality_params": {"image_shape": (8, 8)},
    "encoder_params": {"width": 16},
    "max_epochs": 10,
    "random_state": 0,
}
draws = draw_labels(y_train, 5, n_draws=10)
scores = {"raw pixels": [linear_probe(X_train[rows], y_train[rows], X_test, y_test) for rows in draws]}
for framework in ("simclr", "swav"):
    for name, views_params in crops.items():
        started = time.perf_counter()
        embedder = ContrastiveEmbedder(framework, views_params=views_params, **setting).fit(X_train)
        seconds = time.perf_counter() - started
        train, test = embedder.transform(X_train), embedder.transform(X_test)
        scores[f"{framework}, {name}, {seconds:.1f} s"] = [
            linear_probe(train[rows], y_train[rows], test, y_test) for rows in draws
        ]
for name, values in scores.items():
    print(f"{name:36}{100 * np.mean(values):5.1f} ± {100 * np.std(values, ddof=1):.1f} %")

# %%
# The views shown to the network:
ViewsDisplay.from_estimator(embedder, X)
