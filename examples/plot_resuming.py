"""
Resuming: a run that was cut short
==================================

With ``checkpoint_dir`` the same call of ``fit`` goes on from the last checkpoint, and ends with the bits of a run
that was never stopped. Here a callback pulls the plug.
"""

# %%
# An epoch in, the process "dies".

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
    """Ends the process, or nearly, while the storm lasts."""

    storm = True

    def on_epoch_end(self, net, **kwargs):
        if PowerCut.storm and len(net.history) == 4:
            raise SystemExit("the lights went out")


folder = tempfile.mkdtemp()
embedder = ContrastiveEmbedder(**setting, checkpoint_dir=folder, checkpoint_minutes=0, callbacks=[PowerCut()])
try:
    embedder.fit(X[train])
except SystemExit as error:
    print(f"after 4 epochs: {error}")

# %%
# The same call again, and one that was left alone.

PowerCut.storm = False
resumed = embedder.fit(X[train])
alone = ContrastiveEmbedder(**setting).fit(X[train])
print(f"the same bits: {np.array_equal(resumed.transform(X), alone.transform(X))}")
print(f"epochs: {resumed.n_iter_}, and the same losses: {resumed.loss_curve_ == alone.loss_curve_}")

# %%
# What ten epochs are worth, beside raw pixels: here, with all labels, nothing yet.

embedded = resumed.transform(X)
print(f"linear probe: raw pixels {100 * linear_probe(X[train], y[train], X[test], y[test]):.1f} %,", end=" ")
print(f"embedding {100 * linear_probe(embedded[train], y[train], embedded[test], y[test]):.1f} %")

# %%
# One curve, in two sittings.
display = LossCurveDisplay.from_estimator(resumed)
display.ax_.axvline(4, color="C7", linestyle=":", label="the lights went out")
display.ax_.legend(frameon=False)
