"""
Sentence similarity from pairs of texts
=======================================

The first two paragraphs of a docstring are about the same thing. Given one, can the other be found among hundreds?
The embedder learns from such pairs alone, by ``fit((first, second))``; no views are generated. TF-IDF and the untrained
encoder are evaluated in the same way.
"""

# %%
# Real prose: the docstrings of SciPy and scikit-learn, which are installed with skclr. Functions in the test set are
# not used for training.

import importlib
import inspect
from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize

from skclr import ContrastiveEmbedder

MODULES = [
    *(f"scipy.{name}" for name in ("interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats")),
    *(f"sklearn.{name}" for name in ("cluster", "datasets", "decomposition", "ensemble", "linear_model", "metrics")),
]


def paragraphs(thing):
    """Return the paragraphs before the list of parameters."""
    prose = (inspect.getdoc(thing) or "").split("\nParameters\n")[0].split("\n\n")
    texts = [" ".join(text.split()) for text in prose if not text.startswith((".. ", ">>>", "    "))]
    # Lists, and a formula that only repeats the function's name, are not prose.
    return [text for text in texts if len(text) > 30 and "---" not in text and not text.startswith("As an instance of")]


modules = [importlib.import_module(name) for name in MODULES]
found = {name: paragraphs(getattr(module, name)) for module in modules for name in module.__all__}
pairs = np.array([texts[:2] for texts in found.values() if len(texts) > 1], dtype=object)
train, test = train_test_split(pairs, test_size=300, random_state=0)
print(f"{len(train)} pairs to learn from, {len(test)} to find; one of them:")
print("\n".join(shorten(text, 110) for text in train[0]))

# %%
# Each paragraph is compared with all candidates by cosine similarity.


def ranks(one, other):
    """Return the rank of each row's own partner among all candidates, by decreasing similarity."""
    similarities = normalize(one) @ normalize(other).T
    return (similarities >= similarities.diagonal()[:, None]).sum(1)


words = {"modality": "text", "modality_params": {"tokenizer": "words"}, "random_state": 0}
features = {
    "TF-IDF": TfidfVectorizer().fit(train.ravel()),
    "untrained encoder": ContrastiveEmbedder(**words, max_epochs=0).fit((train[:, 0], train[:, 1])),
    "embedding": ContrastiveEmbedder(**words, max_epochs=20).fit((train[:, 0], train[:, 1])),
}
rank = {}
for name, transformer in features.items():
    one, other = (transformer.transform(test[:, side]) for side in (0, 1))
    one, other = (side.toarray() if hasattr(side, "toarray") else side for side in (one, other))
    rank[name] = ranks(one, other)
    shares = (f"in the first {k}: {100 * np.mean(rank[name] <= k):4.1f} %" for k in (1, 10))
    print(f"{name:20}" + "  ".join(shares))
gain = (rank["embedding"] <= 10).astype(float) - (rank["TF-IDF"] <= 10)
error = gain.std(ddof=1) / len(gain) ** 0.5
print(f"embedding minus TF-IDF, in the first 10: {100 * gain.mean():+.1f} ± {100 * error:.1f} points")

# %%
# The share of partners found within the first k candidates.

figure, axis = plt.subplots(layout="constrained")
for name, found in rank.items():
    axis.ecdf(found, label=name)
axis.set(xscale="log", xlabel="candidates, most similar first", ylabel="share found")
axis.legend(frameon=False)
