"""How time and memory grow with the data and the epochs."""

import statistics
from collections.abc import Callable
from typing import Any

from _measuring import Measures, Run, Work, apart, exponent, peak_above, spread
from _speed_training import table

from skclr import ContrastiveEmbedder


def embedder(**params: Any) -> ContrastiveEmbedder:
    return ContrastiveEmbedder(views="corruption", encoder="mlp", device="cpu", random_state=0, **params)


def epoch(tiny: bool) -> Work:
    """The time of an epoch by the number of rows."""
    sizes = {f"{n:,} rows": n for n in ((512, 1_024) if tiny else (10_000, 20_000, 40_000, 80_000, 160_000))}

    def run(n: int) -> Run:
        X = table(n)

        def measure() -> Measures:
            fitted = embedder(max_epochs=3).fit(X)
            # The first epoch is a warm-up.
            return {"s": statistics.median(fitted.net_.history[1:, "dur"])}

        return measure

    return Work(
        "time of an epoch by rows",
        {way: run(n) for way, n in sizes.items()},
        [exponent("s", sizes, 1.02)],
        repeats=3,
        settings={"columns": 50, "batch_size": 256},
    )


def by_size(title: str, sizes: dict[str, int], measure: Callable[..., Measures], *arguments: Any) -> Work:
    """Memory that should not grow; each measurement has its own process."""
    ways: dict[str, Run] = {way: lambda size=size: apart(measure, size, *arguments) for way, size in sizes.items()}
    return Work(title, ways, [spread("MiB", 16)], repeats=3)


def fit_memory(epochs: int, n: int) -> Measures:
    """Measure the peak memory of `fit` in addition to its data."""
    X = table(n)
    embedder(max_epochs=1).fit(X[:512])
    return {"MiB": peak_above(lambda: embedder(max_epochs=epochs).fit(X))}


def transform_memory(n: int) -> Measures:
    """Measure the peak memory of `transform` in addition to its data and result."""
    X = table(n)
    fitted = embedder(max_epochs=0).fit(X[:512])
    fitted.transform(X[:2_048])
    held: list[Any] = []
    peak = peak_above(lambda: held.append(fitted.transform(X)))
    return {"MiB": peak - held[0].nbytes / 2**20}


def epochs(tiny: bool) -> Work:
    """The memory of `fit` by the number of epochs; during the first few the allocator still adapts."""
    sizes = {f"{n} epochs": n for n in ((1, 2) if tiny else (8, 32, 128))}
    return by_size("memory of `fit` by epochs", sizes, fit_memory, 512 if tiny else 10_000)


def transformed(tiny: bool) -> Work:
    """The memory of `transform` by the number of rows."""
    sizes = {f"{n:,} rows": n for n in ((512, 1_024) if tiny else (50_000, 100_000, 200_000, 400_000))}
    return by_size("memory of `transform` by rows", sizes, transform_memory)
