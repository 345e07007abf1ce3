"""Write one small file per modality, with X and the embedding: once for every version of the format.

They are kept for ever, and every later version has to read them.
"""

from pathlib import Path

import numpy as np

from skclr import ContrastiveEmbedder
from skclr.files.format import VERSION

rng = np.random.default_rng(0)
CASES = {
    "tabular": (np.hstack([rng.normal(size=(24, 2)).round(3), rng.integers(0, 3, (24, 1))]), "mlp", {"width": 4}),
    "image": (rng.integers(0, 255, (8, 6, 5, 3), dtype=np.uint8), "conv", {"width": 2, "n_layers": 2}),
    "series": (rng.normal(size=(8, 2, 12)).round(3), "gru", {"width": 3}),
    "audio": ((rng.normal(size=(6, 200)) * 999).astype(np.int16), "spectrogram", {"width": 2, "n_layers": 2}),
    "text": (np.array(["a red rose", "a daisy", "no rose is blue", "red, red!"]), "text", {}),
}
MODALITY_PARAMS = {
    "tabular": {"categorical_features": [2]},
    "audio": {"sampling_rate": 1000, "n_mels": 4},
    "text": {"tokenizer": "words"},
}

for modality, (X, encoder, params) in CASES.items():
    embedder = ContrastiveEmbedder(
        modality=modality,
        modality_params=MODALITY_PARAMS.get(modality),
        encoder=encoder,
        encoder_params=params,
        framework_params={"hidden_dim": 3},
        projection_dim=2,
        max_epochs=1,
        random_state=0,
    ).fit(X)
    path = Path(__file__).parent / f"version-{VERSION}-{modality}.skclr"
    embedder.save(path, optimizer=False)
    np.savez_compressed(
        path.with_suffix(".npz"), X=X, embedding=embedder.transform(X), loss=np.array(embedder.loss_curve_)
    )
