"""
Tables with mixed columns and skrub
===================================

A table of numbers, categories and missing values, in which ten rows per class have labels. skrub's `TableVectorizer`
turns every column into numbers, and the embedder learns from all rows. The baselines are the same classifier on the
vectorised table, on its PCA, on the RBF map that ``transform`` returns next to the embedding, and on the untrained
encoder.
"""

# %%
# The table describes scikit-learn's handwritten digits from afar: the amount of ink in each row and column of the
# image, some of it missing, the quarter with the most ink, and the darker half.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import TableVectorizer

from skclr import ContrastiveEmbedder
from skclr.evaluation import label_efficiency

images, y = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8)
halves = images.reshape(-1, 2, 4, 2, 4).sum((2, 4))
names = [f"row {i}" for i in range(8)] + [f"column {j}" for j in range(8)]
X = pd.DataFrame(np.hstack([images.sum(2), images.sum(1)]), columns=names)
X = X.mask(np.random.default_rng(0).random(X.shape) < 0.05)
X["quarter"] = np.array(["top left", "top right", "bottom left", "bottom right"])[halves.reshape(-1, 4).argmax(1)]
X["darker half"] = np.where(halves.sum(2)[:, 0] > halves.sum(2)[:, 1], "upper", "lower")
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
X.iloc[:4, [0, 1, 8, 9, 16, 17]]

# %%
# Vectoriser and embedder are fitted to the training rows without labels. The embedder also accepts the DataFrame
# itself, with numbers, categories and missing values; dates and free text need the vectoriser.

vectors = TableVectorizer().set_output(transform="pandas")
filled = SimpleImputer()
transformers = {
    "vectorised table": make_pipeline(vectors, filled, StandardScaler()),
    "PCA": make_pipeline(vectors, filled, StandardScaler(), PCA(10, random_state=0)),
    "untrained encoder": make_pipeline(vectors, ContrastiveEmbedder(max_epochs=0, random_state=0)),
    "embedding": make_pipeline(vectors, ContrastiveEmbedder(random_state=0)),
    "embedding, without skrub": ContrastiveEmbedder(random_state=0),
}
features = {}
for name, transformer in transformers.items():
    transformer.fit(X_train)
    features[name] = np.asarray(transformer.transform(X_train)), np.asarray(transformer.transform(X_test))
n_learned = transformers["embedding"][-1].model_.n_learned
features["RBF map"] = tuple(rows[:, n_learned:] for rows in features["embedding"])

# %%
# The same logistic regression on each kind of features, with ten labels per class. The result depends on which rows
# have labels, so there are ten draws.

records = label_efficiency(features, y_train, y_test, labels_per_class=[10])
table = {record["features"]: 100 * np.array(record["scores"]) for record in records}
print(f"{'accuracy in %':26}{'':16}minus the vectorised table")
for name, scores in table.items():
    gain = scores - table["vectorised table"]
    print(f"{name:26}{scores.mean():6.1f} ± {scores.std(ddof=1):.1f}     {gain.mean():+5.1f} ± {gain.std(ddof=1):.1f}")

for other in ("RBF map", "untrained encoder"):
    gain = table["embedding"] - table[other]
    print(f"embedding minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# The accuracy of each draw, and the test rows in two dimensions before and after.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", width_ratios=(1.3, 1, 1))
for place, scores in enumerate(reversed(table.values())):
    left.plot(scores, np.full(len(scores), place), "o", color="tab:blue", alpha=0.4)
    left.plot(scores.mean(), place, "|", color="black", markersize=20)
left.set(xlabel="accuracy in %, ten labels per class", yticks=range(len(table)), yticklabels=list(reversed(table)))
left.set(title="each draw, and the mean")

for axis, name in ((middle, "vectorised table"), (right, "embedding")):
    points = PCA(2).fit_transform(features[name][1])
    scatter = axis.scatter(*points.T, c=y_test, cmap="tab10", s=8)
    axis.set(title=f"{name} (PCA)", xticks=[], yticks=[])
right.legend(*scatter.legend_elements(), title="digit", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

picture = Path("tables.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
