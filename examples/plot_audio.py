"""
Audio: made notes of made instruments
=====================================

Nobody recorded these sounds: a program makes them, so that the example needs no data. Six instruments differ in their
overtones and in how a note begins and dies away; pitch, length, loudness and noise are drawn at random. The embedder
hears all notes without labels; a classifier is told the instruments of a few. On sounds this clean no gain says what to
expect of recordings: for those see the benchmarks.
"""

# %%
# A note is a sum of overtones under an envelope. That its pitch differs from note to note is what makes the task: the
# same instrument has its energy in other bands each time.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skclr import ContrastiveEmbedder

RATE = 8_000
# Strengths of the overtones, seconds of attack, and seconds in which a note dies away.
INSTRUMENTS = {
    "flute": ([1, 0.1, 0.05], 0.08, 1.0),
    "clarinet": ([1, 0, 0.7, 0, 0.4, 0, 0.2], 0.03, 1.0),
    "trumpet": ([0.6, 1, 0.9, 0.7, 0.5, 0.3], 0.03, 1.0),
    "organ": ([1, 0.8, 0, 0.8, 0, 0, 0, 0.6], 0.01, 2.0),
    "harp": ([1, 0.5, 0.3, 0.2], 0.003, 0.15),
    "harpsichord": ([0.7, 1, 0.8, 0.9, 0.7, 0.7, 0.5, 0.5], 0.003, 0.15),
}


def note(overtones, attack, decay, rng):
    """Play one note: float samples, full scale at 1."""
    time = np.arange(int(RATE * rng.uniform(0.25, 0.5))) / RATE
    pitch = 110 * 2 ** rng.uniform(0, 2)
    strengths = np.array(overtones) * rng.lognormal(0, 0.4, len(overtones))
    waves = np.sin(
        2 * np.pi * pitch * np.outer(np.arange(1, len(overtones) + 1), time) + rng.uniform(0, 6, (len(overtones), 1))
    )
    sound = strengths @ waves * np.minimum(time / attack, 1) * np.exp(-time / decay)
    sound = sound / np.abs(sound).max() + rng.uniform(0.02, 0.2) * rng.normal(size=len(time))
    return (0.3 * rng.uniform(0.2, 1) * sound).astype(np.float32)


def concert(n, seed):
    """Play n notes of instruments drawn at random."""
    rng = np.random.default_rng(seed)
    y = rng.integers(len(INSTRUMENTS), size=n)
    return [note(*list(INSTRUMENTS.values())[label], rng) for label in y], y


X_train, y_train = concert(600, seed=0)
X_test, y_test = concert(400, seed=1)

# %%
# A list of clips and their sampling rate are all that the embedder asks for. The plain features are the mean of each
# band in eight parts of the clip, which ``passthrough`` gives beside the embedding.

audio = {"modality_params": {"sampling_rate": RATE}, "batch_size": 150, "random_state": 0}
untrained = ContrastiveEmbedder(**audio, max_epochs=0, passthrough=True).fit(X_train)
embedder = ContrastiveEmbedder(**audio, max_epochs=25, verbose=1).fit(X_train)
width = embedder.encoder_.out_features
features = {
    "plain features": lambda X: untrained.transform(X)[:, width:],
    "untrained encoder": lambda X: untrained.transform(X)[:, :width],
    "embedding": embedder.transform,
}

# %%
# The same classifier on each: five labels an instrument, in ten draws, and all labels.


def draw(n_per_class, seed):
    """Draw the rows whose labels are known."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y_train == label))[:n_per_class] for label in range(len(INSTRUMENTS))]
    return np.concatenate(rows)


table = {}
print(f"{'accuracy in %':20}{'5 each':>15}{'all':>8}")
for name, transform in features.items():
    known, unseen = transform(X_train), transform(X_test)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    draws = [draw(5, seed) for seed in range(10)]
    table[name] = np.array([classifier.fit(known[rows], y_train[rows]).score(unseen, y_test) for rows in draws])
    everything = classifier.fit(known, y_train).score(unseen, y_test)
    print(f"{name:20}{100 * table[name].mean():9.1f} ± {100 * table[name].std(ddof=1):3.1f}{100 * everything:8.1f}")

for other in ("plain features", "untrained encoder"):
    gain = 100 * (table["embedding"] - table[other])
    print(f"the embedding against {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, draw by draw")

# %%
# What the encoder hears of one note of each instrument: log-mel spectrograms, low pitch at the bottom.

figure, axes = plt.subplots(1, len(INSTRUMENTS), figsize=(11, 2.6), layout="constrained", sharey=True)
for label, (axis, name) in enumerate(zip(axes, INSTRUMENTS, strict=True)):
    clip = X_test[np.flatnonzero(y_test == label)[0]]
    x = np.stack([clip, clip])
    spectrogram = embedder.encoder_.preprocessing(torch.from_numpy(x))[0, 0]
    axis.imshow(spectrogram, origin="lower", aspect="auto", extent=(0, len(clip) / RATE, 0, len(spectrogram)))
    axis.set(title=name, xlabel="seconds")
axes[0].set_ylabel("mel band")

picture = Path("audio.png")
figure.savefig(picture, dpi=150)
print(f"picture saved to {picture}")
