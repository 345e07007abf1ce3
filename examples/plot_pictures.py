"""
Pictures of what was learned
============================

A number says how good an embedding is, a picture why. The displays follow scikit-learn's convention; here they look at
handwritten digits, whose labels the embedder never sees. At its end all of it goes into one HTML file.
"""

# %%
# First what the network is shown. Views should change what does not matter, here the place, size and slant of a digit,
# and keep what does: where no one could tell that two views show the same digit, the network cannot learn it either.

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
embedder = ContrastiveEmbedder(modality_params={"image_shape": (8, 8)}, max_epochs=10, random_state=0, verbose=1).fit(X)
ViewsDisplay.from_estimator(embedder, X)

# %%
# The loss falls, which says only that the network solves its task.
LossCurveDisplay.from_estimator(embedder)

# %%
# It can tell two views of a digit from those of other digits. Both histograms near 1 would be a collapse.
SimilarityDisplay.from_estimator(embedder, X)

# %%
# What it takes to be alike, with the labels that it never saw, and a map of all digits.
NeighborsDisplay.from_estimator(embedder, X, y)

# %%
EmbeddingDisplay.from_estimator(embedder, X, y, method="tsne")

# %%
# What that is worth: the same classifier, given few labels or many, on the embedding and on what comes for nothing.
LabelEfficiencyDisplay.from_estimator(embedder, X, y, labels_per_class=(1, 5, 10, 50), n_draws=5)

# %%
# All of it as one page, to explore and to send around.
path = skclr.report(embedder, X, y, "digits.html")
print(f"report saved to {path}")
