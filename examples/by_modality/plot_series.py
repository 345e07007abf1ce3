"""
Time series of unequal length: outlines of digits
=================================================

The outline of a shape is a series with two channels, x and y. Here the shapes are handwritten digits, and each series
is as long as its outline. The embedder learns from all outlines without labels; a classifier gets ten labels per digit.
A small network is trained on the outputs of random convolution kernels, and ``transform`` returns these next to the
embedding. The baselines are the outlines, resampled to one length, the kernels alone, and the untrained network.
"""

# %%
# The images come with scikit-learn; contourpy, a dependency of matplotlib, traces the outlines. If a digit has several
# outlines, the longest is used, so an 8 loses its holes.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from contourpy import contour_generator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skclr import ContrastiveEmbedder
from skclr.evaluation import label_efficiency


def outline(image, level=8):
    """Return the longest contour (2, time) between digit and background."""
    lines = contour_generator(z=np.pad(image, 1)).lines(level)
    return max(lines, key=len).T.astype(np.float32)


images, y = load_digits(return_X_y=True)
X = [outline(image.reshape(8, 8)) for image in images]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
lengths = [series.shape[1] for series in X]
print(f"{len(X)} series of {min(lengths)} to {max(lengths)} steps")

# %%
# A list of arrays is read as series. Batches are padded, and encoders ignore the padding.


def to_one_length(series, n_steps=32):
    """Resample (2, time) series at equal distances: (n, 2 · n_steps)."""
    places = np.linspace(0, 1, n_steps)
    return np.array([[np.interp(places, np.linspace(0, 1, len(c)), c) for c in s] for s in series]).reshape(
        len(series), -1
    )


embedder = ContrastiveEmbedder(random_state=0).fit(X_train)  # without labels
untrained = ContrastiveEmbedder(max_epochs=0, random_state=0).fit(X_train)
n_learned = embedder.model_.n_learned
train, test = embedder.transform(X_train), embedder.transform(X_test)
features = {
    "outlines": (to_one_length(X_train), to_one_length(X_test)),
    "random kernels": (train[:, n_learned:], test[:, n_learned:]),
    "untrained encoder": (untrained.transform(X_train), untrained.transform(X_test)),
    "embedding": (train, test),
}

# %%
# The same logistic regression on each kind of features, with ten labels per digit in ten draws, and with all labels.

records = label_efficiency(features, y_train, y_test, labels_per_class=(10, "all"))
scores = {(record["features"], record["labels_per_class"]): 100 * np.array(record["scores"]) for record in records}
print(f"{'accuracy in %':20}{'10 per digit':>15}{'all':>8}")
for name in features:
    few, (everything,) = scores[name, 10], scores[name, "all"]
    print(f"{name:20}{few.mean():9.1f} ± {few.std(ddof=1):3.1f}{everything:8.1f}")

for other in ("outlines", "random kernels", "untrained encoder"):
    gain = scores["embedding", 10] - scores[other, 10]
    print(f"embedding minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# Some test outlines and their nearest neighbours in the embedding, without the kernels.

learned = test[:, :n_learned] / np.linalg.norm(test[:, :n_learned], axis=1, keepdims=True)
nearest = (-learned[:8] @ learned.T).argsort(axis=1)[:, :5]

figure, axes = plt.subplots(5, 8, figsize=(10, 6.5), layout="constrained", sharex=True, sharey=True)
for column, rows in zip(axes.T, nearest, strict=True):
    for rank, (axis, row) in enumerate(zip(column, rows, strict=True)):
        axis.plot(*X_test[row], color="C0" if rank == 0 else "C7" if y_test[row] == y_test[rows[0]] else "C3")
        axis.set(xticks=[], yticks=[], aspect="equal")
axes[0, 0].invert_yaxis()
axes[0, 0].set_ylabel("an outline")
axes[2, 0].set_ylabel("neighbours")
figure.suptitle("outlines and their neighbours in the embedding; neighbours of another digit are red")

picture = Path("series.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
