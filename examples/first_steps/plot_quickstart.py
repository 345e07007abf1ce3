"""
Few labels: does the embedding help?
====================================

There are 1,797 handwritten digits of 8 × 8 pixels, but only a few have labels. The embedder learns from the pixels of
all training digits, the classifier from the labelled ones. The same classifier on raw pixels, on PCA and on the
untrained encoder is the baseline: the embedding helps only if it beats all three.
"""

# %%
# The data come with scikit-learn. Each row is an image, so the embedder needs the image's shape.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer

from skclr import ContrastiveEmbedder
from skclr.evaluation import label_efficiency

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
digits = {"image_shape": (8, 8)}

transformers = {
    "raw pixels": FunctionTransformer(),
    "PCA": PCA(30, random_state=0),
    "untrained encoder": ContrastiveEmbedder(modality_params=digits, max_epochs=0, random_state=0),
    "embedding": ContrastiveEmbedder(modality_params=digits, max_epochs=30, random_state=0, verbose=1),
}
features = {}
for name, transformer in transformers.items():
    transformer.fit(X_train)  # without labels
    features[name] = transformer.transform(X_train), transformer.transform(X_test)

# %%
# The same logistic regression on each kind of features, with 5, 10 or 50 labels per class and with all labels. With few
# labels the result depends on which rows have them, so each number is the mean over ten draws, the same for all.

records = label_efficiency(features, y_train, y_test, labels_per_class=(5, 10, 50, "all"))
scores = {(record["features"], record["labels_per_class"]): 100 * np.array(record["scores"]) for record in records}


def cell(values):
    """Return mean and standard deviation as text."""
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" if len(values) > 1 else f"{values.mean():.1f}"


print(f"{'accuracy in %':20}{'5 per class':>15}{'10 per class':>15}{'50 per class':>15}{'all':>15}")
for name in features:
    print(f"{name:20}" + "".join(f"{cell(scores[name, n_labels]):>15}" for n_labels in (5, 10, 50, "all")))

best = max((name for name in features if name != "embedding"), key=lambda name: scores[name, 10].mean())
gain = scores["embedding", 10] - scores[best, 10]
verdict = "helped" if gain.mean() > gain.std(ddof=1) else "did not clearly help"
print(
    f"With 10 labels per class the embedding {verdict}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points "
    f"compared with the best baseline ({best})."
)

# %%
# Two views of some digits, and the embedding of the test digits in two dimensions, coloured by labels that were not
# used in training.

embedder = transformers["embedding"]
images = torch.tensor(X_test[:5].reshape(-1, 1, 8, 8), dtype=torch.float32)
views = embedder.net_.view_maker(images, torch.arange(5), torch.Generator().manual_seed(0))

figure = plt.figure(figsize=(10, 4.5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
left.suptitle("digits, and two views of each")
for axis, image in zip(left.subplots(3, 5).flat, torch.cat([images, *views]), strict=True):
    axis.imshow(image[0], cmap="gray_r", vmin=0, vmax=16)
    axis.axis("off")

axis = right.subplots()
points = TSNE(metric="cosine", random_state=0).fit_transform(embedder.transform(X_test))
scatter = axis.scatter(*points.T, c=y_test, cmap="tab10", s=8)
axis.legend(*scatter.legend_elements(), title="digit", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
axis.set(title="embedding of the test digits (t-SNE)", xticks=[], yticks=[])

picture = Path("quickstart.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
