"""
Plots of an embedding
=====================

A score says how good an embedding is; a plot shows why. The display classes follow scikit-learn's convention. Here they
show an embedding of handwritten digits, trained without labels. The last step collects everything in one HTML file.
"""

# %%
# The views shown to the network. Views should change what does not matter, here position, size and slant of a digit,
# and keep what does: if you cannot tell that two views show the same digit, neither can the network.

from sklearn.datasets import load_digits

import skclr
from skclr import ContrastiveEmbedder
from skclr.plotting import (
    EmbeddingDisplay,
    LabelEfficiencyDisplay,
    LossCurveDisplay,
    NeighborsDisplay,
    SimilarityDisplay,
    ViewsDisplay,
)

X, y = load_digits(return_X_y=True)
setting = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}}
embedder = ContrastiveEmbedder(**setting, max_epochs=10, random_state=0).fit(X)
ViewsDisplay.from_estimator(embedder, X)

# %%
# The loss falls, but this says only that the network solves its training task.
LossCurveDisplay.from_estimator(embedder)

# %%
# The network distinguishes two views of one digit from views of other digits. Both histograms near 1 would mean
# collapse.
SimilarityDisplay.from_estimator(embedder, X)

# %%
# The nearest neighbours of some digits, with labels that were not used in training, and a map of all digits.
NeighborsDisplay.from_estimator(embedder, X, y)

# %%
EmbeddingDisplay.from_estimator(embedder, X, y, method="tsne")

# %%
# Label efficiency: the same classifier with few or many labels, on the embedding and on the baselines.
LabelEfficiencyDisplay.from_estimator(embedder, X, y, labels_per_class=(1, 5, 50), n_draws=3)

# %%
# The same as one HTML page that can be explored and shared.
path = skclr.report(embedder, X, y, "digits.html")
print(f"report saved to {path}")
