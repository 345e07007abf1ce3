import numpy as np
import pytest
import torch
from torch import nn

from skclr.training import SampleTensors, embed_samples
from skclr.training.inference import rows_per_chunk, widest_output


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_chunks_cover_every_row_once(n):
    X = np.random.default_rng(0).normal(size=(n, 4096)).astype(np.float32)
    out = np.full((n, 2), np.nan, dtype=np.float32)
    embed_samples(FirstTwo(), SampleTensors(X, torch.from_numpy, torch.device("cpu")), out)
    np.testing.assert_array_equal(out, X[:, :2])


class FirstTwo(nn.Module):
    """Returns the first two values; its intermediate size determines the size of chunks."""

    def forward(self, x):
        assert len(x) in (1, 32)
        return x.repeat(1, 16)[:, :2]


def test_chunk_size_is_a_power_of_two_in_bounds():
    sizes = [rows_per_chunk(n, torch.device("cpu")) for n in (1, 1_024, 8_192, 10**6)]
    assert sizes == [2048, 1024, 128, 1]


def test_the_widest_layer_decides():
    network, x = nn.Sequential(nn.Linear(3, 50), nn.ReLU(), nn.Linear(50, 2)), torch.zeros(1, 3)
    assert widest_output(lambda: network(x)) == 50
    # Input that is moved to the device is not output.
    many = torch.zeros(1000)
    assert widest_output(lambda: torch.relu(x) + many.to("cpu")[0]) == 3


def test_tokens_count_as_the_vectors_they_become():
    # 64 tokens of 512 values each fill a chunk of 32 texts; by their ids alone it would be 2,048.
    X = np.ones((3, 64), np.int64)
    sizes = []

    def encoder(x):
        sizes.append(len(x))
        return torch.nn.functional.embedding(x, torch.ones(2, 512)).mean(1)

    out = np.empty((3, 512), np.float32)
    embed_samples(encoder, SampleTensors(X, torch.from_numpy, torch.device("cpu")), out)
    assert sizes == [1, 32]
    assert (out == 1).all()
