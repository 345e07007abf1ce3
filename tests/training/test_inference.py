import numpy as np
import pytest
import torch
from torch import nn

from skclr.training import Samples, embed
from skclr.training.inference import chunk_size


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_chunks_cover_every_row_once(n):
    X = np.random.default_rng(0).normal(size=(n, 4096)).astype(np.float32)
    out = np.full((n, 2), np.nan, dtype=np.float32)
    embed(FirstTwo(), Samples(X, torch.from_numpy, torch.device("cpu")), out)
    np.testing.assert_array_equal(out, X[:, :2])


class FirstTwo(nn.Module):
    """Gives the first two values; asks for chunks of one size."""

    def forward(self, x):
        assert len(x) == 32
        return x[:, :2]


def test_chunk_size_is_a_power_of_two_in_bounds():
    assert [chunk_size(n) for n in (1, 64, 784, 3072, 10**6)] == [1024, 1024, 128, 32, 32]


def test_tokens_count_as_the_vectors_they_become():
    # 64 tokens of 384 values each fill a chunk of 32 texts; by their ids alone it would be 1,024.
    X = np.ones((3, 64), np.int64)
    sizes = []

    def encoder(x):
        sizes.append(len(x))
        return x[:, :1].float().expand(-1, 384)

    out = np.empty((3, 384), np.float32)
    embed(encoder, Samples(X, torch.from_numpy, torch.device("cpu")), out)
    assert sizes == [32]
    assert (out == 1).all()
