"""
Clusters in the embedding
=========================

Views of one sample come together in the embedding, and samples that look alike with them: k-means finds groups there.
Ten of them, on handwritten digits, without a label; how well they agree with the digits is looked up afterwards.
"""

# %%
# The same k-means on each kind of features, from five starts. The adjusted Rand index is 1 for the digits themselves
# and 0 for chance.

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
    # On the sphere, as the loss compares.
    "embedding": normalize(embedder.transform(X)),
}
scores = {}
for name, values in features.items():
    found = [KMeans(10, n_init=1, random_state=seed).fit_predict(values) for seed in range(5)]
    scores[name] = np.array([adjusted_rand_score(y, clusters) for clusters in found])
    print(f"{name:20} adjusted Rand index {scores[name].mean():.2f} ± {scores[name].std(ddof=1):.2f}")
best = max((name for name in scores if name != "embedding"), key=lambda name: scores[name].mean())
print(f"the embedding against {best}: {scores['embedding'].mean() - scores[best].mean():+.2f}")

# %%
EmbeddingDisplay.from_estimator(embedder, X, y, method="tsne")
