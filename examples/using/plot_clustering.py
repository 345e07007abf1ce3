"""
Clustering in the embedding
===========================

The views of a sample are close together in the embedding, and so are samples that look alike, so k-means can find
groups. Here it looks for ten clusters of handwritten digits without labels; the labels only show how well they agree.
"""

# %%
# k-means runs on each kind of features from five initialisations. The adjusted Rand index is 1 if the clusters are
# exactly the digits, and 0 for random clusters.

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from skclr import ContrastiveEmbedder
from skclr.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
setting = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}, "random_state": 0}
embedder = ContrastiveEmbedder(**setting, max_epochs=60).fit(X)
features = {
    "raw pixels": X,
    "PCA": PCA(20, random_state=0).fit_transform(X),
    "untrained encoder": normalize(ContrastiveEmbedder(**setting, max_epochs=0).fit_transform(X)),
    # On the unit sphere, since the loss compares by cosine.
    "embedding": normalize(embedder.transform(X)),
}
scores = {}
for name, values in features.items():
    found = [KMeans(10, n_init=1, random_state=seed).fit_predict(values) for seed in range(5)]
    scores[name] = np.array([adjusted_rand_score(y, clusters) for clusters in found])
    print(f"{name:20} adjusted Rand index {scores[name].mean():.2f} ± {scores[name].std(ddof=1):.2f}")
best = max((name for name in scores if name != "embedding"), key=lambda name: scores[name].mean())
print(f"embedding minus {best}: {scores['embedding'].mean() - scores[best].mean():+.2f}")

# %%
EmbeddingDisplay.from_estimator(embedder, X, y, method="tsne")
