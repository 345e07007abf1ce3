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
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupShuffleSplit

from skclr import ContrastiveEmbedder

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

features = {
    "TF-IDF": TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    "untrained encoder": ContrastiveEmbedder(random_state=0, max_epochs=0),
    "embedding": ContrastiveEmbedder(random_state=0, verbose=1),
}
for transformer in features.values():
    transformer.fit(texts[train])  # without labels

# %%
# The same classifier on each kind of features, with ten labels per module in ten draws, and with all labels. The
# features are sparse and weighted against each other, so they are not standardised.


def draw(n_per_class, seed):
    """Draw the rows that have labels."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y[train] == label))[:n_per_class] for label in range(len(MODULES))]
    return np.concatenate(rows)


table = {}
print(f"{'accuracy in %':20}{'10 per module':>15}{'all':>8}")
for name, transformer in features.items():
    known, unseen = transformer.transform(texts[train]), transformer.transform(texts[test])
    classifier = LogisticRegression(C=10, max_iter=5000)
    draws = [draw(10, seed) for seed in range(10)]
    table[name] = np.array([classifier.fit(known[rows], y[train[rows]]).score(unseen, y[test]) for rows in draws])
    everything = classifier.fit(known, y[train]).score(unseen, y[test])
    print(f"{name:20}{100 * table[name].mean():9.1f} ± {100 * table[name].std(ddof=1):3.1f}{100 * everything:8.1f}")

for other in ("TF-IDF", "untrained encoder"):
    gain = 100 * (table["embedding"] - table[other])
    print(f"embedding minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# The embeddings of the test paragraphs in two dimensions, without TF-IDF, coloured by module.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for axis, name in zip(axes, ("untrained encoder", "embedding"), strict=True):
    embedding = features[name].transform(texts[test])[:, :128].toarray()
    points = TSNE(metric="cosine", random_state=0).fit_transform(embedding)
    for label, module in enumerate(MODULES):
        axis.scatter(*points[y[test] == label].T, s=10, color=f"C{label}", label=module)
    axis.set(title=f"{name} of unseen paragraphs (t-SNE)", xticks=[], yticks=[])
axes[1].legend(title="scipy.", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

picture = Path("text.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
