import gc
import os

# Before SciPy is imported: scikit-learn's check of array-API input is skipped without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported, here and in processes that tests start: each of pytest's processes has one core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs

from skclr import ContrastiveEmbedder

DIGITS = {"image_shape": (8, 8)}


def pytest_collection_modifyitems(items):
    """Refuse names with an address in memory: the processes of pytest-xdist would know each other's tests by none."""
    named = [item.nodeid for item in items if " at 0x" in str(item.nodeid)]
    if named:
        raise pytest.UsageError(f"{named[0]} has an address in its name: give its parameters ids")


def pytest_collection_finish():
    """Exempt imported modules and collected tests from garbage collection, which takes 0.3 s with them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def table():
    """60 rows of 5 columns in 3 clusters, and the clusters."""
    X, y = make_blobs(60, 5, centers=3, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def digits():
    """120 handwritten digits (n, 8, 8) as uint8, and their classes."""
    X, y = load_digits(return_X_y=True)
    X = (X[:120] * 15).astype(np.uint8).reshape(-1, 8, 8)
    X.flags.writeable = y.flags.writeable = False
    return X, y[:120]


# `transform` computes up to 2,048 rows for a single one, so that wide networks take most of the time of small tests.
NARROW = {"width": 16}


@pytest.fixture(scope="session")
def quick():
    """Return a function that makes an embedder of two epochs, with a narrow network unless one is asked for."""

    def make(framework="simclr", **params):
        network = {} if "encoder" in params else {"encoder_params": NARROW}
        return ContrastiveEmbedder(framework, **{"max_epochs": 2, "random_state": 0, **network, **params})

    return make
