"""Model files that are changed at random where it matters: they are refused, or every verb can use them."""

import contextlib
import warnings

import numpy as np
import pytest

from skclr import diagnose, load
from tests.robustness.forging import MEBIBYTE, memory_below, nothing_reached, plant, written
from tests.robustness.mutations import mutated

rng = np.random.default_rng(0)
X_OF = {
    "tabular": rng.normal(size=(8, 4)),
    "image": rng.integers(0, 255, (4, 9, 8, 3), dtype=np.uint8),
    "series": [rng.normal(size=(2, n)) for n in (9, 14, 20, 8)],
    "audio": (rng.normal(size=(4, 300)) * 999).astype(np.int16),
    "text": ["a rose", "a daisy", "no rose", "red, red!"],
    "ngrams": ["a rose", "a daisy", "no rose", "red, red!"],
}
SMALL = {
    "tabular": {"encoder_params": {"width": 4, "n_blocks": 1}},
    "image": {"encoder_params": {"width": 2, "n_layers": 2}, "framework": "moco"},
    "series": {"encoder_params": {"width": 2, "n_blocks": 2}, "framework": "byol"},
    "audio": {
        "encoder_params": {"width": 2, "n_layers": 2},
        "modality_params": {"sampling_rate": 1000, "n_mels": 4},
        "framework": "swav",
        "framework_params": {"n_prototypes": 4},
    },
    "text": {"modality_params": {"tokenizer": "words"}, "framework": "dino", "framework_params": {"n_prototypes": 4}},
    "ngrams": {"encoder": "on_features", "encoder_params": {"width": 4, "n_blocks": 1}},
}
MOST_BYTES = 64 * MEBIBYTE
# Limits for a method on a few samples.
MOST_BYTES_OF_USE = 1024 * MEBIBYTE


def use(model, X):
    """Call every verb; documented exceptions may answer."""
    # A compiler is a program of the user's own, whom a file may ask to start it in a later fit.
    model.set_params(compile=False)
    verbs = (
        model.transform,
        model.score,
        lambda X: model.partial_fit(X).transform(X),
        lambda X: diagnose(model, X),
    )
    for verb in verbs:
        with contextlib.suppress(ValueError, FloatingPointError):
            verb(X)


def check(path, raw, X):
    """Load a file and use the model; return whether it was loaded."""
    path.write_bytes(raw)
    with nothing_reached(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with memory_below(MOST_BYTES + 4 * len(raw)):
                model = load(path)
        except ValueError:
            return False
        with memory_below(MOST_BYTES_OF_USE):
            use(model, X)
    return True


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.skclr"
    raw = {kind: written(X, path, **SMALL[kind]) for kind, X in X_OF.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, content in raw.items():
            # The imports of the first call are not caused by the file.
            path.write_bytes(content)
            use(load(path), X_OF[kind])
    return path, raw


@pytest.mark.parametrize("kind", X_OF)
def test_mutations(kind, files, monkeypatch):
    path, raw = files
    reached = plant(monkeypatch)
    assert check(path, raw[kind], X_OF[kind])
    n_loaded = sum(check(path, mutated(raw[kind], seed), X_OF[kind]) for seed in range(40))
    assert not reached
    # Else nothing but refusals would have been tried.
    assert 0 < n_loaded < 20


def test_a_seed_gives_one_mutation(files):
    raw = files[1]["tabular"]
    assert mutated(raw, 3) == mutated(raw, 3) != mutated(raw, 4)
