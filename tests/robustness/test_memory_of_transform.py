"""The memory of `transform` follows the size of one sample."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.training.inference import rows_per_chunk

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "n_values", "n_rows"),
    [
        *((CPU, n, 2_048) for n in (1, 2**9)),
        *((CPU, n, 32) for n in (2**15, 2**18 - 1)),
        *((CPU, n, 1) for n in (2**18, 2**18 + 1, 2**30)),
        *((GPU, n, 2_048) for n in (1, 2**14)),
        *((GPU, n, 32) for n in (2**20,)),
        *((GPU, n, 1) for n in (2**25, 2**30)),
    ],
)
def test_rows_of_a_chunk(device, n_values, n_rows):
    assert rows_per_chunk(n_values, device) == n_rows


class Watching(nn.Module):
    """Keeps the shapes of what it is given in evaluation."""

    shapes = []

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x):
        if not self.training:
            self.shapes.append(tuple(x.shape))
        return self.layer(x[:, :1]).amax((2, 3))


@pytest.mark.parametrize(("side", "n_rows"), [(255, 32), (256, 1), (300, 1)])
def test_a_large_image_costs_one_image(side, n_rows):
    X = np.random.default_rng(0).integers(0, 255, (3, side, side), dtype=np.uint8)
    embedder = ContrastiveEmbedder(encoder=Watching(), max_epochs=0, random_state=0).fit(X)
    Watching.shapes.clear()
    together = embedder.transform(X)
    # The first sample tells the size.
    assert {shape[0] for shape in Watching.shapes[1:]} == {n_rows}
    assert_array_equal(np.concatenate([embedder.transform(X[row : row + 1]) for row in range(3)]), together)


def test_out_of_memory_in_transform_names_the_remedy(table, quick):
    class Hungry(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 8)
            self.hungry = False

        def forward(self, x):
            if self.hungry:
                torch.empty(2**60, dtype=torch.uint8)
            return self.layer(x)

    embedder = quick(encoder=Hungry()).fit(table[0])
    embedder.encoder_.network.hungry = True
    with pytest.raises(MemoryError, match=r"of shape .5,. at once does not fit into memory. Shrink the samples"):
        embedder.transform(table[0])
