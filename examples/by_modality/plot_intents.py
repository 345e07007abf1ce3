"""
Intents of messages from ten labels per class
=============================================

Chat bots classify the intent of a sentence, often with many sentences but few labels. Here the sentences are the error
and warning messages of SciPy, scikit-learn and torch, and the intent is the kind of error raised: real sentences, with
labels chosen by their authors.
"""

# %%
# The source files are parsed, not run. Values that are inserted at run time become the word "something".

import ast
import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay

from skclr import ContrastiveEmbedder
from skclr.evaluation import draw_labels

INTENTS = {
    "pass another value": ["ValueError"],
    "pass another type": ["TypeError"],
    "not implemented": ["NotImplementedError"],
    "this will change": ["FutureWarning", "DeprecationWarning"],
    "not found": ["AttributeError", "KeyError", "ImportError", "ModuleNotFoundError", "FileNotFoundError"],
    "numerical problem": ["ConvergenceWarning", "LinAlgError", "RuntimeWarning"],
}
KINDS = {kind: label for label, kinds in enumerate(INTENTS.values()) for kind in kinds}


def sentence(node):
    """Return the text of a literal, with "something" for inserted values."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "something" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def messages(source):
    """Yield (message, kind) of each ``raise Kind(message)`` and ``warn(message, Kind)``."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=kind), args=[text, *_])):
                yield sentence(text), kind
            case ast.Call(func=ast.Attribute(attr="warn"), args=[text, ast.Name(id=kind), *_]):
                yield sentence(text), kind


found = {}
for package in ("scipy", "sklearn", "torch"):
    root = Path(importlib.util.find_spec(package).origin).parent
    for path in sorted(root.rglob("*.py")):
        if "test" not in str(path.relative_to(root)):
            found |= {text: KINDS[kind] for text, kind in messages(path.read_text()) if kind in KINDS}
found = {text: label for text, label in found.items() if len(text.split()) > 3}
texts, y = np.array(list(found), dtype=object), np.array(list(found.values()))
print(f"{len(texts)} messages")
for label, name in enumerate(INTENTS):
    print(f"{np.sum(y == label):5} {name}, for example: {texts[y == label][0][:50]!r}")

# %%
# The test set has 40 messages of each intent, so guessing scores one in six. The embedder sees all others, without
# labels.

rng = np.random.default_rng(0)
test = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:40] for label in range(len(INTENTS))])
train = np.setdiff1d(np.arange(len(texts)), test)
features = {
    "TF-IDF": TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts[train]),
    "untrained encoder": ContrastiveEmbedder(max_epochs=0, random_state=0).fit(texts[train]),
    "embedding": ContrastiveEmbedder(random_state=0).fit(texts[train]),
}
scores = {}
for name, transformer in features.items():
    known, unseen = transformer.transform(texts), transformer.transform(texts[test])
    classifier = LogisticRegression(C=10, max_iter=5000)
    draws = (train[rows] for rows in draw_labels(y[train], 10, n_draws=10))
    scores[name] = np.array([classifier.fit(known[rows], y[rows]).score(unseen, y[test]) for rows in draws])
    print(f"{name:20}{100 * scores[name].mean():5.1f} ± {100 * scores[name].std(ddof=1):.1f} %")
for other in ("TF-IDF", "untrained encoder"):
    gain = 100 * (scores["embedding"] - scores[other])
    print(f"embedding minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# The confusion matrix of the last draw. The labels are not perfect: what one author calls a wrong type, another calls a
# wrong value.

figure, axis = plt.subplots(figsize=(7, 6), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    classifier, unseen, y[test], display_labels=INTENTS, xticks_rotation=40, colorbar=False, cmap="Blues", ax=axis
)
