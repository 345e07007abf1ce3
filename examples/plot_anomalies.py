"""
Anomalies: what is unlike all of them?
======================================

An embedder has learned from one kind of samples; what is far from all of them in the embedding is something else.
Here it learns from nine of the digits, and the tenth is to be found out. Which digit is the odd one matters, so that
each is it in turn.
"""

# %%
# The distance to the fifth nearest training digit says how odd a test digit is; the area under the ROC curve how well
# that parts.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from skclr import ContrastiveEmbedder

X, y = load_digits(return_X_y=True)
setting = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}, "random_state": 0}


def oddness(train, test):
    """Give the distance of each test row to its fifth nearest training row."""
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


scores = {"isolation forest": [], "raw pixels": [], "untrained encoder": [], "embedding": []}
for odd in range(0, 10, 3):
    usual, held_out = train_test_split(X[y != odd], test_size=0.3, random_state=0)
    test = np.concatenate([held_out, X[y == odd]])
    is_odd = np.arange(len(test)) >= len(held_out)
    scores["isolation forest"].append(
        roc_auc_score(is_odd, -IsolationForest(random_state=0).fit(usual).score_samples(test))
    )
    scores["raw pixels"].append(roc_auc_score(is_odd, oddness(usual, test)))
    for name, epochs in (("untrained encoder", 0), ("embedding", 30)):
        embedder = ContrastiveEmbedder(**setting, max_epochs=epochs).fit(usual)
        embeddings = [normalize(embedder.transform(rows)) for rows in (usual, test)]
        scores[name].append(roc_auc_score(is_odd, oddness(*embeddings)))
for name, values in scores.items():
    print(f"{name:20} area under the curve {np.mean(values):.3f}, by digit " + ", ".join(f"{v:.3f}" for v in values))
print(f"the embedding against raw pixels: {np.mean(scores['embedding']) - np.mean(scores['raw pixels']):+.3f}")

# %%
# The oddest of the last round's test digits, the oddest first. Those of the digit that nobody showed are framed; the
# others are what passes for a usual digit badly written.

figure, axes = plt.subplots(2, 10, figsize=(10, 2.3), layout="constrained")
for axis, row in zip(axes.flat, oddness(*embeddings).argsort()[::-1], strict=False):
    axis.imshow(test[row].reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(color="C3", linewidth=3, visible=is_odd[row])
figure.suptitle(f"the oddest of {len(test)}, after learning from all digits but {odd}")
