"""
Serving a model with ONNX
=========================

A fitted embedder can be exported, preprocessing included, as a file for any ONNX runtime, and as a torch.export
program for C++. Both return the numbers of `transform`.
"""

# %%
# A table with missing values; preprocessing is part of the model.

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from skclr import ContrastiveEmbedder
from skclr.evaluation import linear_probe

X, y = load_breast_cancer(return_X_y=True)
X[np.random.default_rng(0).random(X.shape) < 0.05] = np.nan
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
embedder = ContrastiveEmbedder(max_epochs=30, random_state=0).fit(X_train)
embedder.to_onnx("breast_cancer.onnx")
print(f"{Path('breast_cancer.onnx').stat().st_size / 1e6:.1f} MB")

# %%
# The exported model accepts any number of samples. It differs from `transform` by rounding only.

session = onnxruntime.InferenceSession("breast_cancer.onnx")
(features,) = session.run(None, {"X": X_test})
print(f"largest difference from transform: {np.abs(features - embedder.transform(X_test)).max():.1e}")
(one,) = session.run(None, {"X": X_test[:1]})
print(f"for one sample: {np.abs(one - embedder.transform(X_test[:1])).max():.1e}")


def milliseconds(call):
    """Return the median time of a call."""
    times = []
    for _ in range(30):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * np.median(times)


sizes = [1, 4, 16, 64, 256]
times = {
    "ONNX Runtime": [milliseconds(lambda rows=X_test[:n]: session.run(None, {"X": rows})) for n in sizes],
    "transform": [milliseconds(lambda rows=X_test[:n]: embedder.transform(rows)) for n in sizes],
}
print("one sample: " + ", ".join(f"{values[0]:.2f} ms in {name}" for name, values in times.items()))
figure, axis = plt.subplots(layout="constrained")
for name, values in times.items():
    axis.loglog(sizes, values, "o-", label=name)
axis.set(xlabel="rows in one call", ylabel="milliseconds")
axis.legend(frameon=False)

# %%
# The same model as a torch.export program.

program = embedder.to_exported_program()
torch.export.save(program, "breast_cancer.pt2")
again = torch.export.load("breast_cancer.pt2").module()(torch.from_numpy(X_test)).numpy()
print(f"largest difference from transform: {np.abs(again - embedder.transform(X_test)).max():.1e}")

# %%
# A linear probe on this table, with all labels: here nothing is left to gain.

filled = [np.where(np.isnan(part), np.nanmean(X_train, 0), part) for part in (X_train, X_test)]
print(f"raw columns {100 * linear_probe(filled[0], y_train, filled[1], y_test, standardize=True):.1f} %,", end=" ")
print(f"embedding {100 * linear_probe(embedder.transform(X_train), y_train, features, y_test):.1f} %")
