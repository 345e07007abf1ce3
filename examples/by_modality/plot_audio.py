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
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skclr import ContrastiveEmbedder

RATE, N_DIGITS = 8_000, 10
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
# parts of the clip; ``passthrough`` returns them next to the embedding.

audio = {"modality_params": {"sampling_rate": RATE}, "batch_size": 150, "random_state": 0}
untrained = ContrastiveEmbedder(**audio, max_epochs=0, passthrough=True).fit(X_train)
embedder = ContrastiveEmbedder(**audio, max_epochs=100, verbose=1).fit(X_train)
width = embedder.model_.n_learned
features = {
    "plain features": lambda X: untrained.transform(X)[:, width:],
    "untrained encoder": lambda X: untrained.transform(X)[:, :width],
    "embedding": embedder.transform,
}

# %%
# The same classifier on each kind of features, with five labels per digit in ten draws, and with all labels.


def draw(n_per_class, seed):
    """Draw the rows that have labels."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y_train == label))[:n_per_class] for label in range(N_DIGITS)]
    return np.concatenate(rows)


table = {}
print(f"{'accuracy in %':20}{'5 per digit':>15}{'all':>8}")
for name, transform in features.items():
    known, unseen = transform(X_train), transform(X_test)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    draws = [draw(5, seed) for seed in range(10)]
    table[name] = np.array([classifier.fit(known[rows], y_train[rows]).score(unseen, y_test) for rows in draws])
    everything = classifier.fit(known, y_train).score(unseen, y_test)
    print(f"{name:20}{100 * table[name].mean():9.1f} ± {100 * table[name].std(ddof=1):3.1f}{100 * everything:8.1f}")

for other in ("plain features", "untrained encoder"):
    gain = 100 * (table["embedding"] - table[other])
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
