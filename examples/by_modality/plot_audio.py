"""
Audio: spoken digits
====================

Six people say the digits from 0 to 9, ten times each. The recordings are from the `Free Spoken Digit Dataset
<https://github.com/Jakobovski/free-spoken-digit-dataset>`_ (CC BY-SA 4.0); 600 of them are stored with this example.
The embedder learns from half of them without labels; a classifier gets a few labels and is tested on the other half.
"""

# %%
# Clips of unequal length, companded to 8 bits as in telephony. The test half has other recordings of the same words by
# the same people.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from skclr import ContrastiveEmbedder
from skclr.evaluation import label_efficiency

RATE = 8_000
# The gallery runs in the folder of the examples, without a __file__.
here = Path(__file__).parent if "__file__" in globals() else Path()
data = np.load(here / "data" / "spoken_digits.npz")
companded = data["wave"] / np.float32(127)
wave = np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(np.float32(255))) / 255
clips = np.split(wave, data["lengths"].cumsum()[:-1])
heard = data["recording"] >= 5
X_train, y_train = [clips[i] for i in np.flatnonzero(heard)], data["digit"][heard]
X_test, y_test = [clips[i] for i in np.flatnonzero(~heard)], data["digit"][~heard]

# %%
# The embedder needs a list of clips and their sampling rate. The plain features are the mean of each mel band in eight
# parts of the clip; with ``passthrough=True``, ``transform`` returns them after the columns of the embedding.

audio = {"modality_params": {"sampling_rate": RATE}, "batch_size": 150, "passthrough": True, "random_state": 0}
untrained = ContrastiveEmbedder(**audio, max_epochs=0).fit(X_train)
embedder = ContrastiveEmbedder(**audio, max_epochs=50).fit(X_train)
n_learned = embedder.model_.n_learned
before, after = ([each.transform(X) for X in (X_train, X_test)] for each in (untrained, embedder))
features = {
    "plain features": tuple(rows[:, n_learned:] for rows in after),
    "untrained encoder": tuple(rows[:, :n_learned] for rows in before),
    "embedding": tuple(rows[:, :n_learned] for rows in after),
    "embedding and plain": tuple(after),
}

# %%
# The same logistic regression on each kind of features, with five labels per digit in ten draws, and with all labels.

records = label_efficiency(features, y_train, y_test, labels_per_class=(5, "all"))
scores = {(record["features"], record["labels_per_class"]): 100 * np.array(record["scores"]) for record in records}
print(f"{'accuracy in %':20}{'5 per digit':>15}{'all':>8}")
for name in features:
    few, (everything,) = scores[name, 5], scores[name, "all"]
    print(f"{name:20}{few.mean():9.1f} ± {few.std(ddof=1):3.1f}{everything:8.1f}")

for other in ("plain features", "untrained encoder"):
    gain = scores["embedding", 5] - scores[other, 5]
    print(f"embedding minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# The input of the encoder for five test clips: log-mel spectrograms, with low frequencies at the bottom.

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained", sharey=True)
for digit, axis in enumerate(axes):
    clip = X_test[np.flatnonzero(y_test == digit)[0]]
    x = np.stack([clip, clip])
    spectrogram = embedder.encoder_.preprocessing(torch.from_numpy(x))[0, 0]
    axis.imshow(spectrogram, origin="lower", aspect="auto", extent=(0, len(clip) / RATE, 0, len(spectrogram)))
    axis.set(title=digit, xlabel="seconds")
axes[0].set_ylabel("mel band")

picture = Path("audio.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
