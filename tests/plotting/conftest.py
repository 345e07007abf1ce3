import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skclr import ContrastiveEmbedder

matplotlib.use("agg")

N = 24


def some_data(modality):
    rng = np.random.default_rng(0)
    if modality == "tabular":
        frame = pd.DataFrame(rng.normal(size=(N, 9)), columns=[f"c{j}" for j in range(9)])
        return frame.assign(city=pd.Categorical(rng.choice(["Rome", "Oslo"], N)))
    if modality == "image":
        return rng.integers(0, 256, (N, 10, 12, 3)).astype(np.uint8)
    if modality == "series":
        return [rng.normal(size=(2, length)) for length in rng.integers(20, 30, N)]
    if modality == "audio":
        return rng.normal(size=(N, 2_000)).astype(np.float32) / 10
    return [" ".join(rng.choice(["cat", "dog", "sun", "costs $5", "moon"], 6)) for _ in range(N)]


PARAMS = {"audio": {"modality_params": {"sampling_rate": 8_000}}, "text": {"modality_params": {"tokenizer": "words"}}}


@pytest.fixture(scope="session")
def fitted():
    """Return a briefly fitted embedder and its data, by modality."""
    made = {}

    def give(modality):
        if modality not in made:
            X = some_data(modality)
            embedder = ContrastiveEmbedder(
                encoder_params={"width": 16}, max_epochs=2, batch_size=N, random_state=0, **PARAMS.get(modality, {})
            )
            made[modality] = embedder.fit(X), X
        return made[modality]

    return give


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")
