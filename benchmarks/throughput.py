"""Samples per second of `fit` and `transform`, by modality and encoder.

Synthetic samples on one thread, in processor time, so that other work on the machine counts little. Every encoder has
the default framework, views and batch size of its modality. The time of an epoch is the difference between two fits of
different length, which leaves out preparations such as the search for neighbours.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import _common
import numpy as np
import torch

from skclr import ContrastiveEmbedder

RNG = np.random.default_rng(0)
WORDS = np.array(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"])
# For each modality: a description of its samples, a function that makes n of them, parameters, and n for each encoder.
KINDS: dict[str, tuple[str, Callable[[int], Any], dict[str, Any], dict[str, int]]] = {
    "tables": (
        "50 columns",
        lambda n: RNG.normal(size=(n, 50)),
        {},
        {"residual_mlp": 8_192, "mlp": 8_192, "feature_transformer": 256},
    ),
    "images": (
        "32 × 32, 3 channels",
        lambda n: RNG.integers(256, size=(n, 32, 32, 3)).astype(np.uint8),
        {},
        {"conv": 1_024, "resnet18": 64, "resnet34": 32, "resnet50": 32},
    ),
    "series": (
        "128 steps, 3 channels",
        lambda n: RNG.normal(size=(n, 3, 128)).astype(np.float32),
        {},
        {"on_features": 1_024, "tcn": 256, "gru": 256, "lstm": 256, "series_transformer": 256},
    ),
    "audio": (
        "1 s at 8 kHz",
        lambda n: RNG.normal(size=(n, 8_000)).astype(np.float32),
        {"modality_params": {"sampling_rate": 8_000}},
        {"spectrogram": 128, "resnet18": 32},
    ),
    "texts": (
        "12 words",
        lambda n: [" ".join(RNG.choice(WORDS, 12)) for _ in range(n)],
        {},
        {"on_features": 2_048, "text": 4_096, "text_transformer": 256},
    ),
}


def processor_seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(samples: Callable[[int], Any], params: dict[str, Any], n_samples: int, repeats: int) -> dict[str, Any]:
    """Measure one encoder; the median of the repeats."""
    embedder = ContrastiveEmbedder(**params, device="cpu", random_state=0)
    X = samples(n_samples)
    embedder.set_params(max_epochs=1).fit(X)
    batch_size = embedder.net_.plan.batch_size
    n_seen = n_samples - n_samples % batch_size
    epochs, embedded = [], []
    for _ in range(repeats):
        one, three = (processor_seconds(lambda n=n: embedder.set_params(max_epochs=n).fit(X)) for n in (1, 3))
        epochs.append((three - one) / 2)
        embedded.append(processor_seconds(lambda: embedder.transform(X)))
    return {
        "n_samples": n_samples,
        "batch_size": batch_size,
        "default_run": embedder.model_.modality.n_steps * embedder.model_.modality.batch_size,
        "precision": embedder.net_.plan.precision,
        "fit": n_seen / statistics.median(epochs),
        "transform": n_samples / statistics.median(embedded),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=2)
    options.add_argument("--kinds", nargs="+", choices=KINDS, help="default: all; others stay as they are")
    options.add_argument("--smoke", action="store_true", help="a few samples, in seconds; saves no results")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    kinds = dict(_common.saved("throughput").get("kinds", {}))
    for kind in chosen.kinds or KINDS:
        what, samples, params, encoders = KINDS[kind]
        kinds[kind] = {"samples": what, "encoders": {}}
        for encoder, n_samples in encoders.items():
            size = 16 if chosen.smoke else n_samples
            found = measure(samples, {**params, "encoder": encoder}, size, chosen.repeats)
            kinds[kind]["encoders"][encoder] = found
            print(
                f"{kind:8} {encoder:20} fit {found['fit']:10,.0f}/s  transform {found['transform']:10,.0f}/s",
                flush=True,
            )
        if not chosen.smoke:
            # After each kind, so that an interrupted run keeps its results.
            _common.write("throughput", {"repeats": chosen.repeats, "kinds": kinds})


if __name__ == "__main__":
    main()
