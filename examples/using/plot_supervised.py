"""
Supervised contrastive learning and cross-entropy
=================================================

If all rows have labels, rows of one class can be positives of each other. Are the features better than those of a
classifier trained with cross-entropy? The same encoder is trained both ways and without labels, on the same views for
the same number of epochs.
"""

# %%
# `positives="labels"` passes the labels to the loss; `Supervised` is a linear head with cross-entropy.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skclr import ContrastiveEmbedder
from skclr.evaluation import linear_probe
from skclr.frameworks import Supervised
from skclr.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
setting = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}, "max_epochs": 10}
ways = {
    "untrained": {"max_epochs": 0},
    "SimCLR, no labels": {},
    "supervised contrastive": {"loss": "sup_con", "positives": "labels"},
    "cross-entropy": {"framework": Supervised, "framework_params": {"n_classes": 10}, "positives": "labels"},
}

# %%
# Three splits and seeds. A linear probe evaluates each encoder.

scores = {name: [] for name in ["raw pixels", *ways]}
fitted = {}
for seed in range(3):
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    scores["raw pixels"].append(linear_probe(X_train, y_train, X_test, y_test))
    for name, way in ways.items():
        embedder = ContrastiveEmbedder(**{**setting, **way}, random_state=seed).fit(X_train, y_train)
        fitted[name] = embedder
        scores[name].append(linear_probe(embedder.transform(X_train), y_train, embedder.transform(X_test), y_test))
for name, values in scores.items():
    print(f"{name:24}{100 * np.mean(values):5.1f} ± {100 * np.std(values, ddof=1):.1f} %")
gain = 100 * (np.array(scores["supervised contrastive"]) - np.array(scores["cross-entropy"]))
print(f"supervised contrastive minus cross-entropy: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points")

# %%
# Maps of the test digits of the last split by t-SNE. All trained encoders separate the classes, also of digits not
# seen; labels help with those that look alike.

figure, axes = plt.subplots(1, 4, figsize=(14, 3.6), layout="constrained")
for axis, (name, embedder) in zip(axes, fitted.items(), strict=True):
    EmbeddingDisplay.from_estimator(embedder, X_test, y_test, method="tsne", ax=axis, s=6)
    axis.set_title(name)
