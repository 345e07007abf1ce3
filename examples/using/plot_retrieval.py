"""
Retrieval: find similar samples
===============================

Nearest neighbours in the embedding are similar samples. Here the ten nearest training digits of each test digit are
retrieved, and labels that were not used in training show how many are the same digit.
"""

# %%
# Neighbours by cosine, as the loss compares them.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skclr import ContrastiveEmbedder
from skclr.plotting import NeighborsDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
setting = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}, "random_state": 0}
embedder = ContrastiveEmbedder(**setting, max_epochs=60).fit(X_train)
features = {
    "raw pixels": lambda X: X,
    "standardised pixels": StandardScaler().fit(X_train).transform,
    "untrained encoder": ContrastiveEmbedder(**setting, max_epochs=0).fit(X_train).transform,
    "embedding": embedder.transform,
}
alike = {}
for name, transform in features.items():
    index = NearestNeighbors(n_neighbors=10, metric="cosine").fit(transform(X_train))
    nearest = index.kneighbors(transform(X_test), return_distance=False)
    alike[name] = (y_train[nearest] == y_test[:, None]).mean(1)
    print(f"{name:22}{100 * alike[name].mean():5.1f} % of ten neighbours are the same digit")
gain = alike["embedding"] - alike["raw pixels"]
error = gain.std(ddof=1) / np.sqrt(len(gain))
print(f"embedding minus raw pixels: {100 * gain.mean():+.1f} ± {100 * error:.1f} points")

# %%
# Some queries and their neighbours.
NeighborsDisplay.from_estimator(embedder, X_test, y_test)
