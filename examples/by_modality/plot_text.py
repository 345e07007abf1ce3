"""
Texts: which module is a docstring from?
========================================

The texts are paragraphs from the docstrings of SciPy, which is installed with skclr. The embedder learns from all of
them without labels; a classifier gets ten labels per module. A small network is trained on components of TF-IDF, and
``transform`` returns TF-IDF next to the embedding. The baselines are TF-IDF alone and the untrained network.
"""

# %%
# The first paragraphs of each public function's docstring. The paragraphs of a function are on the same side of the
# split, so that the test measures more than memory.

import importlib
import inspect
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupShuffleSplit

from skclr import ContrastiveEmbedder
from skclr.evaluation import label_efficiency

MODULES = ["interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats"]


def paragraphs(function, most=4):
    """Return the first paragraphs before the list of parameters."""
    prose = (inspect.getdoc(function) or "").split("\nParameters\n")[0].split("\n\n")
    texts = [" ".join(text.split()) for text in prose if not text.startswith((".. ", ">>>", "    "))]
    return [text for text in texts if len(text) > 20][:most]


texts, labels, owners = [], [], []
for label, module in enumerate(MODULES):
    module = importlib.import_module(f"scipy.{module}")
    for name in module.__all__:
        found = paragraphs(getattr(module, name))
        texts += found
        labels += [label] * len(found)
        owners += [name] * len(found)
texts, y = np.array(texts, dtype=object), np.array(labels)
train, test = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(texts, y, owners))
print(f"{len(train)} paragraphs to learn from, {len(test)} to test on, for example: {texts[train[0]]!r}")

# %%
# The vocabulary of words and n-grams comes from these texts. With ``pip install 'skclr[text]'``,
# ``modality_params={"tokenizer": "wordllama"}`` starts from vectors that were trained on large corpora.

transformers = {
    "TF-IDF": TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    "untrained encoder": ContrastiveEmbedder(random_state=0, max_epochs=0),
    "embedding": ContrastiveEmbedder(random_state=0),
}
features = {}
for name, transformer in transformers.items():
    transformer.fit(texts[train])  # without labels
    features[name] = transformer.transform(texts[train]), transformer.transform(texts[test])

# %%
# The same logistic regression, with C=10, on each kind of features, with ten labels per module in ten draws, and with
# all labels. The features are sparse and weighted against each other, so they are not standardised.

records = label_efficiency(features, y[train], y[test], labels_per_class=(10, "all"), penalties=[10.0])
scores = {(record["features"], record["labels_per_class"]): 100 * np.array(record["scores"]) for record in records}
print(f"{'accuracy in %':20}{'10 per module':>15}{'all':>8}")
for name in features:
    few, (everything,) = scores[name, 10], scores[name, "all"]
    print(f"{name:20}{few.mean():9.1f} ± {few.std(ddof=1):3.1f}{everything:8.1f}")

for other in ("TF-IDF", "untrained encoder"):
    gain = scores["embedding", 10] - scores[other, 10]
    print(f"embedding minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# The embeddings of the test paragraphs in two dimensions, without TF-IDF, coloured by module.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for axis, name in zip(axes, ("untrained encoder", "embedding"), strict=True):
    embedding = features[name][1][:, : transformers[name].model_.n_learned].toarray()
    points = TSNE(metric="cosine", random_state=0).fit_transform(embedding)
    for label, module in enumerate(MODULES):
        axis.scatter(*points[y[test] == label].T, s=10, color=f"C{label}", label=module)
    axis.set(title=f"{name} of unseen paragraphs (t-SNE)", xticks=[], yticks=[])
axes[1].legend(title="scipy.", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

picture = Path("text.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
