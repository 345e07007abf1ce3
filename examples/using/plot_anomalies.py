"""
Anomaly detection with nearest neighbours
=========================================

An embedder learns from normal samples only; samples that are far from all of them in the embedding are anomalies. Here
nine of the ten digits are normal and the tenth is the anomaly. The result depends on which digit is left out, so four
of them are tried. On digits so small, distances of raw pixels are a strong baseline.
"""

# %%
# The anomaly score of a test digit is the distance to its fifth nearest training digit. The area under the ROC curve
# measures how well the score separates anomalies from normal digits.

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


def anomaly_score(train, test):
    """Return the distance of each test row to its fifth nearest training row."""
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


scores = {"isolation forest": [], "raw pixels": [], "untrained encoder": [], "embedding": []}
for left_out in range(0, 10, 3):
    normal, held_out = train_test_split(X[y != left_out], test_size=0.3, random_state=0)
    test = np.concatenate([held_out, X[y == left_out]])
    is_anomaly = np.arange(len(test)) >= len(held_out)
    scores["isolation forest"].append(
        roc_auc_score(is_anomaly, -IsolationForest(random_state=0).fit(normal).score_samples(test))
    )
    scores["raw pixels"].append(roc_auc_score(is_anomaly, anomaly_score(normal, test)))
    for name, epochs in (("untrained encoder", 0), ("embedding", 30)):
        embedder = ContrastiveEmbedder(**setting, max_epochs=epochs).fit(normal)
        embeddings = [normalize(embedder.transform(rows)) for rows in (normal, test)]
        scores[name].append(roc_auc_score(is_anomaly, anomaly_score(*embeddings)))
for name, values in scores.items():
    by_digit = ", ".join(f"{value:.3f}" for value in values)
    print(f"{name:20} area under the curve {np.mean(values):.3f}, by digit {by_digit}")
print(f"embedding minus raw pixels: {np.mean(scores['embedding']) - np.mean(scores['raw pixels']):+.3f}")

# %%
# The test digits with the highest scores in the last round. Anomalies are framed in red; the others are normal digits.

figure, axes = plt.subplots(2, 10, figsize=(10, 2.3), layout="constrained")
for axis, row in zip(axes.flat, anomaly_score(*embeddings).argsort()[::-1], strict=False):
    axis.imshow(test[row].reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(color="C3", linewidth=3, visible=is_anomaly[row])
figure.suptitle(f"the highest scores of {len(test)} test digits, after training on all digits but {left_out}")
