"""
Out of core: data larger than memory
====================================

The images are in a memory-mapped file. The embedder reads them batch by batch and writes the embeddings into another
file, from which a linear classifier learns block by block. The rows are never all in memory at once. The file is
small here, so that the result can be compared with that of an array in memory.
"""

# %%
# Each training digit is written ten times, at twice its size and shifted by one or two pixels.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from skclr import ContrastiveEmbedder

digits = load_digits()
images = np.kron(digits.images.astype(np.uint8), np.ones((1, 2, 2), np.uint8))
train, test, y_train, y_test = train_test_split(images, digits.target, test_size=0.3, random_state=0)

folder, rng = Path(tempfile.mkdtemp()), np.random.default_rng(0)
order = rng.permutation(np.repeat(np.arange(len(train)), 10))
shape = (len(order), 16, 16)
written = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
for block in gen_batches(len(order), 1_000):
    moves = rng.integers(-2, 3, (block.stop - block.start, 2))
    written[block] = [np.roll(train[row], move, (0, 1)) for row, move in zip(order[block], moves, strict=True)]
written.flush()
y = y_train[order]

# %%
# ``fit`` and ``transform_to`` accept the memory map. The result is identical, bit for bit, to that of an array in
# memory.

X = np.load(folder / "images.npy", mmap_mode="r")
setting = {"encoder_params": {"width": 16}, "batch_size": 256, "random_state": 0}
embedder = ContrastiveEmbedder(**setting, max_epochs=8).fit(X)
untrained = ContrastiveEmbedder(**setting, max_epochs=0).fit(X)
features = {
    "raw pixels": X.reshape(len(X), -1),
    "untrained encoder": untrained.transform_to(folder / "untrained.npy", X),
    "embedding": embedder.transform_to(folder / "embedding.npy", X),
}
unseen = {
    "raw pixels": test.reshape(len(test), -1),
    "untrained encoder": untrained.transform(test),
    "embedding": embedder.transform(test),
}
in_memory = embedder.transform(np.array(X[:2_000]))
print(f"{type(features['embedding']).__name__} of {features['embedding'].shape}, ", end="")
print(f"same as in memory: {np.array_equal(features['embedding'][:2_000], in_memory)}")

# %%
# A classifier with ``partial_fit`` learns from these files block by block. Gradient descent needs columns of one scale,
# which the first rows show.

figure, axis = plt.subplots(layout="constrained")
for name, rows in features.items():
    scaler = StandardScaler().fit(rows[:1_000])
    classifier = SGDClassifier(loss="log_loss", alpha=1e-3, random_state=0)
    scores = []
    for block in gen_batches(len(rows), 500):
        classifier.partial_fit(scaler.transform(rows[block]), y[block], classes=np.arange(10))
        scores.append(classifier.score(scaler.transform(unseen[name]), y_test))
    axis.plot(500 * np.arange(1, len(scores) + 1), scores, label=name)
    print(f"{name:20}after 500 rows {100 * scores[0]:.1f} %, after all {100 * scores[-1]:.1f} %")
axis.set(xlabel="rows read", ylabel="accuracy on unseen digits")
axis.legend(frameon=False)
