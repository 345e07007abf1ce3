"""Write one small file for every entry of the registries, with the embeddings that it gave: once for every format.

Run as a module from the repository's root: `python -m tests.data.write_registry`. The files are kept, and every later
version has to read them and give the same numbers. `expected.npz` holds X of each kind of input, and the embedding of
each file by its name. Networks of a fixed size are written with periodic weights and compressed.
"""

import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix

from skclr import ContrastiveEmbedder
from skclr.encoders import ENCODERS
from skclr.files.format import VERSION
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES
from skclr.training import LR_SCHEDULES, OPTIMIZERS
from skclr.views import VIEWS

FOLDER = Path(__file__).parent / "registry"
# They need a package of their own.
LEFT_OUT = {"timm", "sentence_transformer"}
SMALL_HEAD = {"projection_dim": 4}
HIDDEN = {"simclr", "moco", "byol", "swav", "nnclr", "dino"}
SIZES = {"moco": {"queue_size": 6}, "swav": {"n_prototypes": 3, "queue_size": 4}, "nnclr": {"queue_size": 6}}
SIZES["dino"] = {"n_prototypes": 3}


def inputs() -> dict[str, np.ndarray]:
    """Return X of each kind of input, as arrays that hold no objects."""
    rng = np.random.default_rng(1)
    return {
        "tabular": np.hstack([rng.normal(size=(12, 3)), rng.integers(0, 3, (12, 1))]),
        "image": rng.integers(0, 255, (6, 9, 8, 3), dtype=np.uint8),
        "grey": rng.integers(0, 255, (6, 8, 8), dtype=np.uint8),
        "series": rng.normal(size=(6, 2, 16)),
        "ragged": np.where(np.arange(12) < rng.integers(5, 13, 6)[:, None, None], rng.normal(size=(6, 2, 12)), np.nan),
        "audio": (rng.normal(size=(6, 300)) * 999).astype(np.int16),
        "text": np.array(["a red rose", "a daisy", "no rose is blue", "red, red!", "", "is it a rose? it is!"]),
        "frame": np.hstack([rng.normal(size=(12, 2)), rng.integers(0, 3, (12, 2))]),
    }


def as_user_has_it(kind: str, X: np.ndarray) -> object:
    """Return X as `fit` and `transform` are given it."""
    if kind == "frame":
        frame = pd.DataFrame({"size": X[:, 0], "weight": X[:, 1]})
        frame.loc[3, "size"] = np.nan
        frame["color"] = [("red", "green", None)[int(code)] for code in X[:, 2]]
        frame["sold"] = X[:, 3] > 0
        return frame
    if kind == "ragged":
        return [sample[:, ~np.isnan(sample[0])] for sample in X]
    return X


KINDS = {
    "tabular": {"modality_params": {"categorical_features": [3]}, "encoder": "mlp", "encoder_params": {"width": 4}},
    "image": {"encoder": "conv", "encoder_params": {"width": 2, "n_layers": 2}},
    "grey": {"encoder": "conv", "encoder_params": {"width": 2, "n_layers": 2}},
    "series": {"encoder": "gru", "encoder_params": {"width": 3}},
    "ragged": {"modality": "series", "encoder": "tcn", "encoder_params": {"width": 3, "n_blocks": 2}},
    "audio": {
        "modality_params": {"sampling_rate": 1000, "n_mels": 4},
        "encoder": "spectrogram",
        "encoder_params": {"width": 2, "n_layers": 2},
    },
    "text": {"modality_params": {"tokenizer": "words"}, "encoder": "text", "encoder_params": {}},
    "frame": {"encoder": "residual_mlp", "encoder_params": {"width": 4, "n_blocks": 1}},
}
ENCODER_CASES = {
    "mlp": ("tabular", {"width": 4, "n_layers": 2, "out_features": 3}),
    "residual_mlp": ("tabular", {"width": 4, "n_blocks": 2, "out_features": 3}),
    "on_features": ("series", {"width": 4, "n_blocks": 1, "out_features": 3}),
    "feature_transformer": ("tabular", {"width": 4, "n_blocks": 1, "n_heads": 2}),
    "conv": ("image", {"width": 2, "n_layers": 2}),
    "resnet18": ("image", {}),
    "resnet34": ("image", {}),
    "resnet50": ("grey", {"stem": "imagenet"}),
    "tcn": ("series", {"width": 3, "n_blocks": 2}),
    "gru": ("series", {"width": 3, "n_layers": 2}),
    "lstm": ("series", {"width": 3}),
    "series_transformer": ("series", {"width": 4, "n_layers": 1, "n_heads": 2, "patch_size": 4}),
    "spectrogram": ("audio", {"width": 2, "n_layers": 2}),
    "text": ("text", {"width": 4, "n_layers": 1}),
    "text_transformer": ("text", {"width": 4, "n_layers": 1, "n_heads": 2}),
}
VIEW_CASES = {
    "corruption": ("tabular", {"rate": 0.4}),
    "masking": ("tabular", {"rate": (0.1, 0.4)}),
    "jitter": ("tabular", {}),
    "mixup": ("tabular", {}),
    "neighbors": ("tabular", {"n_neighbors": 3}),
    "paired": ("tabular", {}),
    "image": ("image", {"n_local_views": 1, "local_size": 4, "blur": (0.5, 0.1), "solarize": 0.2}),
    "series": ("series", {"time_warp": 0.1, "segments": 2, "magnitude_warp": 0.1, "frequency_mask": 0.1}),
    "audio": ("audio", {"view_seconds": 0.2, "shift": 0.1}),
    "text": ("text", {"span": 0.2, "shuffle": 1}),
}


def cases() -> dict[str, tuple[str, dict[str, object]]]:
    """Return by name of the file the kind of X and the parameters of the embedder."""
    found = {f"kind-{kind}": (kind, {}) for kind in KINDS}
    for name in FRAMEWORKS:
        params = ({"hidden_dim": 3} if name in HIDDEN else {}) | SIZES.get(name, {})
        found[f"framework-{name}"] = ("tabular", {"framework": name, "framework_params": params})
    for name in LOSSES:
        found[f"loss-{name}"] = ("tabular", {"loss": name})
    for name in set(ENCODERS) - LEFT_OUT:
        kind, params = ENCODER_CASES[name]
        found[f"encoder-{name}"] = (kind, {"encoder": name, "encoder_params": params, "max_epochs": 0})
    for name in VIEWS:
        kind, params = VIEW_CASES[name]
        found[f"views-{name}"] = (kind, {"views": name, "views_params": params})
    for name in OPTIMIZERS:
        found[f"optimizer-{name}"] = ("tabular", {"optimizer": name, "optimizer_state": True})
    for name in LR_SCHEDULES:
        found[f"schedule-{name}"] = ("tabular", {"lr_schedule": name})
    ngrams = {"modality_params": {"tokenizer": "words", "max_tokens": 5}}
    found["tokenizer-words"] = ("text", {**ngrams, "passthrough": True})
    found["option-ngrams"] = (
        "text",
        {"encoder": "on_features", "encoder_params": {"width": 4}, "modality_params": None},
    )
    found["option-early_stopping"] = ("tabular", {"early_stopping": True, "validation_fraction": 0.2, "max_epochs": 2})
    found["option-no_passthrough"] = ("tabular", {"passthrough": False, "freeze": 1})
    return found


def dense(features: np.ndarray | csr_matrix) -> np.ndarray:
    """Return features as an array."""
    return features if isinstance(features, np.ndarray) else features.toarray()


def main() -> None:
    with np.load(FOLDER / "expected.npz") as kept:
        expected = {f"X/{kind}": X for kind, X in inputs().items()} | dict(kept)
    X_of = {kind: expected[f"X/{kind}"] for kind in KINDS}
    # What an earlier version has written stays.
    missing = {stem: case for stem, case in cases().items() if f"embedding/version-{VERSION}-{stem}" not in expected}
    for stem, (kind, params) in sorted(missing.items()):
        defaults = {"framework_params": {"hidden_dim": 3}, "max_epochs": 1, "random_state": 0, **SMALL_HEAD}
        params = {**KINDS[kind], **defaults, **params}
        optimizer_state = params.pop("optimizer_state", False)
        X = as_user_has_it(kind, X_of[kind])
        embedder = ContrastiveEmbedder(**params).fit((X, X[::-1]) if stem == "views-paired" else X)
        path = FOLDER / f"version-{VERSION}-{stem}.skclr"
        if "resnet" in stem:
            with torch.no_grad():
                for weight in embedder.encoder_.parameters():
                    weight.copy_((torch.arange(weight.numel()) % 251 - 125).reshape(weight.shape) / 2000)
        embedder.save(path, optimizer=optimizer_state)
        if "resnet" in stem:
            path.with_suffix(".skclr.xz").write_bytes(lzma.compress(path.read_bytes(), preset=6))
            path.unlink()
        expected[f"embedding/version-{VERSION}-{stem}"] = dense(embedder.transform(X))
        expected[f"loss/version-{VERSION}-{stem}"] = np.array(embedder.loss_curve_)
    np.savez_compressed(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
