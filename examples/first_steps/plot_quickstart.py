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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skclr import ContrastiveEmbedder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
digits = {"image_shape": (8, 8)}

features = {
    "raw pixels": FunctionTransformer(),
    "PCA": PCA(30, random_state=0),
    "untrained encoder": ContrastiveEmbedder(modality_params=digits, max_epochs=0, random_state=0),
    "SimCLR embedding": ContrastiveEmbedder("simclr", modality_params=digits, random_state=0, verbose=1),
}
for transformer in features.values():
    transformer.fit(X_train)  # without labels

# %%
# The same classifier on each kind of features, with 5, 10 or 50 labels per class and with all labels. With few labels
# the result depends on which rows have them, so each number is the mean over several draws.


def draw(n_per_class, seed):
    """Draw the rows that have labels."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y_train == digit))[:n_per_class] for digit in range(10)]
    return np.concatenate(rows)


def accuracies(transformer, n_per_class, n_draws=10):
    """Score the classifier on the test digits, once per draw."""
    train, test = transformer.transform(X_train), transformer.transform(X_test)
    scores = []
    for seed in range(n_draws):
        rows = draw(n_per_class, seed)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        scores.append(classifier.fit(train[rows], y_train[rows]).score(test, y_test))
    return np.array(scores)


budgets = {"5 per class": (5, 10), "10 per class": (10, 10), "50 per class": (50, 10), "all": (len(X_train), 1)}
print(f"{'accuracy in %':20}" + "".join(f"{name:>15}" for name in budgets))
table = {}
for name, transformer in features.items():
    table[name] = [accuracies(transformer, *budget) for budget in budgets.values()]
    cells = [
        f"{100 * s.mean():.1f} ± {100 * s.std(ddof=1):.1f}" if len(s) > 1 else f"{100 * s.mean():.1f}"
        for s in table[name]
    ]
    print(f"{name:20}" + "".join(f"{cell:>15}" for cell in cells))

best = max((name for name in table if name != "SimCLR embedding"), key=lambda name: table[name][1].mean())
gain = 100 * (table["SimCLR embedding"][1] - table[best][1])
verdict = "helped" if gain.mean() > gain.std(ddof=1) else "did not clearly help"
print(
    f"With 10 labels per class the embedding {verdict}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points "
    f"compared with the best baseline ({best})."
)

# %%
# Two views of some digits, and the embedding of the test digits in two dimensions, coloured by labels that were not
# used in training.

embedder = features["SimCLR embedding"]
images = torch.tensor(X_test[:8].reshape(-1, 1, 8, 8), dtype=torch.float32)
views = embedder.net_.view_maker(images, torch.arange(8), torch.Generator().manual_seed(0))

figure = plt.figure(figsize=(10, 4.5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
left.suptitle("digits, and two views of each")
for axis, image in zip(left.subplots(3, 8).flat, torch.cat([images, *views]), strict=True):
    axis.imshow(image[0], cmap="gray_r", vmin=0, vmax=16)
    axis.axis("off")

axis = right.subplots()
points = PCA(2).fit_transform(embedder.transform(X_test))
scatter = axis.scatter(*points.T, c=y_test, cmap="tab10", s=8)
axis.legend(*scatter.legend_elements(), title="digit", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
axis.set(title="embedding of the test digits (PCA)", xticks=[], yticks=[])

picture = Path("quickstart.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
