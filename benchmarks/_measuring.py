"""Measure several ways to do the same work in turn, and check claims about their medians."""

import ctypes
import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context, set_start_method
from pathlib import Path
from typing import Any

import torch

# Measurements of one run, by unit.
Measures = dict[str, float]
Run = Callable[[], Measures]
Medians = dict[str, Measures]

# Units for which less is better.
COSTS = ("s", "ms", "MiB")


@dataclass(frozen=True)
class Claim:
    """A number computed from the medians, and its bounds, if any."""

    what: str
    unit: str
    value: Callable[[Medians], float]
    at_least: float | None = None
    at_most: float | None = None

    def judge(self, medians: Medians) -> dict[str, Any] | None:
        """Return the number and whether the claim holds, or None if a way that it needs was not measured."""
        try:
            value = self.value(medians)
        except KeyError:
            return None
        holds = (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)
        asked = {"at_least": self.at_least, "at_most": self.at_most}
        return {"what": self.what, "unit": self.unit, "value": value, **asked, "holds": holds}


def times(unit: str, ours: str, theirs: Sequence[str], at_least: float | None = None, what: str = "") -> Claim:
    """Claim that a way is at least this many times as good as the best of the others."""

    def value(medians: Medians) -> float:
        others = [medians[way][unit] for way in theirs if way in medians]
        if not others:
            raise KeyError(theirs)
        own = medians[ours][unit]
        return min(others) / own if unit in COSTS else own / max(others)

    return Claim(what or f"{ours} relative to {', '.join(theirs)}", unit, value, at_least)


def greatest(unit: str, at_most: float) -> Claim:
    """Claim an upper bound of the costs of all ways."""
    return Claim("maximum", unit, lambda medians: max(m[unit] for m in medians.values()), at_most=at_most)


def spread(unit: str, at_most: float) -> Claim:
    """Claim an upper bound of the difference between the costs of any two ways."""

    def value(medians: Medians) -> float:
        costs = [measures[unit] for measures in medians.values()]
        return max(costs) - min(costs)

    return Claim("maximum minus minimum", unit, value, at_most=at_most)


def exponent(unit: str, sizes: dict[str, int], at_most: float) -> Claim:
    """Claim an upper bound of the exponent with which a cost grows with the size."""

    def value(medians: Medians) -> float:
        x = [math.log(size) for size in sizes.values()]
        return statistics.linear_regression(x, [math.log(medians[way][unit]) for way in sizes]).slope

    return Claim("growth exponent", unit, value, at_most=at_most)


@dataclass
class Work:
    """Several ways to do the same work."""

    title: str
    ways: dict[str, Run]
    claims: list[Claim]
    repeats: int = 5
    settings: dict[str, Any] = field(default_factory=dict)

    def measure(self, missing: dict[str, str], repeats: int) -> dict[str, Any]:
        """Run the ways in turn, all but those that are `missing`."""
        runs: dict[str, dict[str, list[float]]] = {way: {} for way in self.ways if way not in missing}
        for _ in range(repeats):
            for way, found in runs.items():
                gc.collect()
                for unit, value in self.ways[way]().items():
                    found.setdefault(unit, []).append(value)
        medians = {
            way: {unit: statistics.median(values) for unit, values in found.items()} for way, found in runs.items()
        }
        return {
            "title": self.title,
            "settings": self.settings,
            "repeats": repeats,
            "runs": runs,
            "medians": medians,
            "claims": [judged for claim in self.claims if (judged := claim.judge(medians))],
            "missing": missing,
        }

    def rehearse(self) -> dict[str, str]:
        """Run each way once to warm it up, and return why some of them cannot run."""
        missing = {}
        for way, run in self.ways.items():
            try:
                run()
            except ImportError as error:
                missing[way] = str(error)
        return missing


def rate(unit: str, amount: int, start: float) -> Measures:
    """Return the amount per second since `start`."""
    return {unit: amount / (time.perf_counter() - start)}


def apart(function: Callable[..., Measures], *arguments: Any) -> Measures:
    """Call a function in its own process, so that its memory can be measured separately."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_with_threads, torch.get_num_threads(), function, *arguments).result()


def _with_threads(n_threads: int, function: Callable[..., Measures], *arguments: Any) -> Measures:
    # Its children use the default start method, as those of a process started by hand.
    set_start_method(None, force=True)
    torch.set_num_threads(n_threads)
    return function(*arguments)


def peak_above(work: Callable[[], Any]) -> float:
    """Return the peak memory during the work minus the memory before, in MiB."""
    gc.collect()
    # Freed memory that is reused would not be counted.
    ctypes.CDLL(None).malloc_trim(0)
    before = memory("VmRSS")
    # Resets VmHWM.
    Path("/proc/self/clear_refs").write_text("5")
    kept = work()
    peak = memory("VmHWM") - before
    del kept
    return peak


def memory(field: str) -> float:
    """Return this process's memory in MiB: VmRSS is the present, VmHWM the peak, VmData the writable memory."""
    # Not ru_maxrss, which a child inherits from its parent.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
