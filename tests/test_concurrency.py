"""Many at once: threads that transform, workers that fit, and nothing left behind."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal

from skclr.frameworks import FRAMEWORKS

N_THREADS = 16


@pytest.mark.parametrize("kind", ["table", "images", "texts", "audio"])
def test_transform_from_many_threads(kind, table, digits, quick):
    rng = np.random.default_rng(0)
    X, params = {
        "table": (table[0], {}),
        "images": (digits[0][:32], {}),
        "texts": ([f"word{i} word{i % 7} and more" for i in range(60)], {}),
        "audio": (rng.normal(size=(20, 4_000)).astype(np.float32), {"sampling_rate": 8_000}),
    }[kind]
    embedder = quick(modality_params=params).fit(X)
    alone = embedder.transform(X)
    together = threading.Barrier(N_THREADS)

    def transform(_):
        together.wait()
        return [embedder.transform(X) for _ in range(3)]

    with ThreadPoolExecutor(N_THREADS) as pool:
        for embeddings in pool.map(transform, range(N_THREADS), timeout=60):
            for embedding in embeddings:
                assert_array_equal(embedding, alone)


def test_frameworks_fitted_side_by_side_in_threads(table, quick):
    """Weight initialisation and dropout draw from torch's one global generator."""
    embedders = [quick(framework) for framework in FRAMEWORKS]
    alone = [embedder.fit(table[0]).transform(table[0]) for embedder in embedders]
    together = Parallel(4, backend="threading")(delayed(e.fit_transform)(table[0]) for e in embedders)
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one, other)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts by Linux's /proc")
def test_fits_leave_nothing_behind(table, quick, tmp_path):
    def left():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    def fit(number):
        folder = tmp_path / str(number)
        quick(checkpoint_dir=folder, checkpoint_minutes=0, on_interrupt="keep").fit(table[0])

    fit(0)
    before = left()
    for number in range(1, 6):
        fit(number)
    assert left() == before
