"""`transform` reads each row once, and scores read no more rows than they compare."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skclr import ContrastiveEmbedder
from skclr.data.stored import Stored
from skclr.evaluation import SCORERS
from skclr.measures import evenly_spaced_rows
from skclr.modalities.tabular import Tabular

N = 12_000
X = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)


class Source:
    """Rows that are counted when they are read."""

    def __init__(self):
        self.n_read = 0

    def __len__(self):
        return N

    def __getitem__(self, rows):
        self.n_read += len(rows)
        return X[rows]


@pytest.fixture(scope="module")
def embedder():
    params = {"encoder": "mlp", "encoder_params": {"width": 8, "n_layers": 1}, "views": "corruption"}
    return ContrastiveEmbedder(max_epochs=0, random_state=0, **params).fit(X[:100])


@pytest.fixture
def standardised(monkeypatch):
    """Numbers of rows that were made tensors, call by call."""
    made, to_tensor = [], Tabular.to_tensor
    monkeypatch.setattr(Tabular, "to_tensor", lambda self, rows: made.append(len(rows)) or to_tensor(self, rows))
    return made


# Some rows are looked at on opening, to see what they are.
FEW = 10


def test_transform_reads_and_standardises_each_row_once(embedder, standardised):
    source = Source()
    Z = embedder.transform(Stored(source))
    assert source.n_read <= N + FEW
    assert sum(standardised) <= N + FEW
    assert_array_equal(embedder.transform(X), Z)
    # The plain features are those of the rows, after the embedding.
    width = embedder.model_.n_learned
    assert_array_equal(Z[:, :width], embedder.set_params(passthrough=False).transform(X)[:, :width])
    embedder.set_params(passthrough="auto")


@pytest.mark.parametrize("score", ["score", "alignment"])
def test_scores_read_the_rows_that_they_compare(embedder, standardised, score):
    source = Source()
    call = embedder.score if score == "score" else lambda X: SCORERS[score](embedder, X)
    value = call(Stored(source))
    # Corruption looks at some rows once more, for the values that it draws.
    assert source.n_read <= 2 * 5_000 + FEW
    assert sum(standardised) <= 2 * 5_000 + FEW
    assert call(X) == value
    assert call(X[evenly_spaced_rows(N)]) == value
