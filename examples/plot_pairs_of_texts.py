"""
Sentence similarity: which paragraph goes on?
=============================================

The first two paragraphs of a docstring are about the same thing. Given one, can its other be found among hundreds?
Pairs that belong together are all that the embedder needs: ``fit((first, second))``, and no views are made. TF-IDF
and the encoder before training are looked at in the same way.
"""

# %%
# Docstrings of SciPy and scikit-learn, which are installed with skclr: real prose. Functions of the test are not
# trained on.

import importlib
import inspect

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
    """Give the paragraphs of prose before the list of parameters."""
    prose = (inspect.getdoc(thing) or "").split("\nParameters\n")[0].split("\n\n")
    texts = [" ".join(text.split()) for text in prose if not text.startswith((".. ", ">>>", "    "))]
    # Lists, and a form that names the function, are no prose.
    return [text for text in texts if len(text) > 30 and "---" not in text and not text.startswith("As an instance of")]


modules = [importlib.import_module(name) for name in MODULES]
found = {name: paragraphs(getattr(module, name)) for module in modules for name in module.__all__}
pairs = np.array([texts[:2] for texts in found.values() if len(texts) > 1], dtype=object)
train, test = train_test_split(pairs, test_size=300, random_state=0)
print(f"{len(train)} pairs to learn from, {len(test)} to find; one of them:")
print("\n".join(train[0]))

# %%
# All paragraphs are compared with all by cosine.


def places(one, other):
    """Give the place that each row's own partner takes among all, from the most similar."""
    similarities = normalize(one) @ normalize(other).T
    return (similarities >= similarities.diagonal()[:, None]).sum(1)


words = {"modality": "text", "modality_params": {"tokenizer": "words"}, "random_state": 0}
features = {
    "TF-IDF": TfidfVectorizer().fit(train.ravel()),
    "untrained encoder": ContrastiveEmbedder(**words, max_epochs=0).fit((train[:, 0], train[:, 1])),
    "embedding": ContrastiveEmbedder(**words, max_epochs=20).fit((train[:, 0], train[:, 1])),
}
place = {}
for name, transformer in features.items():
    one, other = (transformer.transform(test[:, side]) for side in (0, 1))
    one, other = (side.toarray() if hasattr(side, "toarray") else side for side in (one, other))
    place[name] = places(one, other)
    shares = (f"among the first {k}: {100 * np.mean(place[name] <= k):4.1f} %" for k in (1, 10))
    print(f"{name:20}" + "  ".join(shares))
gain = (place["embedding"] <= 10).astype(float) - (place["TF-IDF"] <= 10)
error = gain.std(ddof=1) / len(gain) ** 0.5
print(f"the embedding against TF-IDF, among the first 10: {100 * gain.mean():+.1f} ± {100 * error:.1f} points")

# %%
# How far down one has to look.

figure, axis = plt.subplots(layout="constrained")
for name, found in place.items():
    axis.ecdf(found, label=name)
axis.set(xscale="log", xlabel="looked at, the most similar first", ylabel="share found")
axis.legend(frameon=False)
