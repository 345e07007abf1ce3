"""
Resuming an interrupted run
===========================

With ``checkpoint_dir``, calling ``fit`` again resumes from the last checkpoint and ends with exactly the same weights
as a run without interruption. Here a callback simulates a power cut.
"""

# %%
# The process "dies" after four epochs.

import tempfile

import numpy as np
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skclr import ContrastiveEmbedder
from skclr.evaluation import linear_probe
from skclr.plotting import LossCurveDisplay

X, y = load_digits(return_X_y=True)
train, test = np.arange(0, len(X), 2), np.arange(1, len(X), 2)
setting = {
    "modality_params": {"image_shape": (8, 8)},
    "encoder_params": {"width": 16},
    "max_epochs": 10,
    "random_state": 0,
}


class PowerCut(Callback):
    """Exits after the fourth epoch while `storm` is true."""

    storm = True

    def on_epoch_end(self, net, **kwargs):
        if PowerCut.storm and len(net.history) == 4:
            raise SystemExit("power cut")


folder = tempfile.mkdtemp()
embedder = ContrastiveEmbedder(**setting, checkpoint_dir=folder, checkpoint_minutes=0, callbacks=[PowerCut()])
try:
    embedder.fit(X[train])
except SystemExit as error:
    print(f"after 4 epochs: {error}")

# %%
# The same call again, compared with a run that was not interrupted.

PowerCut.storm = False
resumed = embedder.fit(X[train])
alone = ContrastiveEmbedder(**setting).fit(X[train])
print(f"identical embeddings: {np.array_equal(resumed.transform(X), alone.transform(X))}")
print(f"epochs: {resumed.n_iter_}, identical losses: {resumed.loss_curve_ == alone.loss_curve_}")

# %%
# A linear probe with all labels, compared with raw pixels.

embedded = resumed.transform(X)
print(f"linear probe: raw pixels {100 * linear_probe(X[train], y[train], X[test], y[test]):.1f} %,", end=" ")
print(f"embedding {100 * linear_probe(embedded[train], y[train], embedded[test], y[test]):.1f} %")

# %%
# The loss curve of both parts.
display = LossCurveDisplay.from_estimator(resumed)
display.ax_.axvline(4, color="C7", linestyle=":", label="power cut")
display.ax_.legend(frameon=False)
