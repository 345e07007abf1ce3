"""What the ranks of test_process_group fit: the same for all, as a user would write it."""

import atexit
import os
import sys
import traceback
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skclr import ContrastiveEmbedder

X = load_digits().data[:96].reshape(-1, 8, 8).astype(np.uint8)


class Die(Callback):
    """End rank 1 without a word in the middle of an epoch."""

    def on_batch_begin(self, net, **kwargs):
        if net.step_ == 7 and os.environ.get("RANK") == "1":
            os._exit(3)


class Stop(Callback):
    """Stop rank 1 alone after an epoch, as by a clock of its own."""

    def on_epoch_end(self, net, **kwargs):
        if os.environ.get("RANK") == "1":
            raise KeyboardInterrupt


def embedder(**params):
    # The precision "auto" depends on the processor.
    common = {
        "encoder_params": {"width": 8},
        "max_epochs": 3,
        "batch_size": 32,
        "random_state": 0,
        "optimizer": "sgd",
        "precision": "float32",
    }
    return ContrastiveEmbedder(modality="image", **{**common, **params})


def note_threads(path):
    """Write the names of the threads that are still there when the interpreter ends."""
    path.write_text(" ".join(Path(task, "comm").read_text() for task in Path("/proc/self/task").glob("*")))


def main(folder):
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    atexit.register(note_threads, folder / f"{rank}.threads")
    # Each rank draws a seed of its own, and takes the first one's.
    stopping = embedder(random_state=None, validation_fraction=0.3, early_stopping=2, verbose=1, batch_size="auto")
    stopping.fit(X)
    fitted = embedder().fit(X)
    stopped = embedder(callbacks=[Stop]).fit(X)
    np.savez(
        folder / f"{rank}.npz",
        one=stopping.transform(X),
        other=fitted.transform(X),
        losses=fitted.loss_curve_,
        n_epochs=stopped.n_iter_,
    )
    try:
        embedder(checkpoint_dir=folder / "run", checkpoint_minutes=0, callbacks=[Die]).fit(X)
    except ConnectionError:
        traceback.print_exc()
    sys.exit(1)
