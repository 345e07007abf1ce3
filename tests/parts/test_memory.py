import os
import subprocess
import sys

import pytest
import torch

from skclr.parts.memory import cache_bytes

# 24 MiB at the end, since a hole that the smaller blocks have left in the heap may take in what fits.
PAGES = """
import resource, torch
from skclr.parts.memory import keep_freed_memory, return_freed_memory

def faults(n_blocks=4, n_floats=2**20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [torch.ones(n_floats) for _ in range(n_blocks)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

before = faults()
keep_freed_memory()
faults()
kept = faults()
held = resident()
return_freed_memory()
print(before, kept, faults(1, 6 * 2**20), held - resident())
"""


def faults(**environment):
    """Count page faults in a process of its own: as its allocator is, where it keeps memory, where it returns it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    run = subprocess.run(
        [sys.executable, "-c", PAGES], env=clean | environment, capture_output=True, text=True, check=True
    )
    return map(int, run.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_freed_memory_is_taken_again_without_faults():
    before, kept, returned, _ = faults()
    if before < 1_000:
        pytest.skip("this allocator keeps what is freed")
    assert kept < min(before, returned) / 10


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_kept_memory_is_given_back():
    *_, returned_pages = faults()
    assert returned_pages * os.sysconf("SC_PAGE_SIZE") > 12 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_what_the_user_has_set_stays():
    before, after, *_ = faults(MALLOC_TRIM_THRESHOLD_=str(2**20))
    assert after == pytest.approx(before, rel=0.1)


@pytest.mark.parametrize(
    ("known", "n_bytes"), [({}, 2**21), ({"l2_cache_size": 2**20}, 2**21), ({"l2_cache_size": 2**23}, 2**23)]
)
def test_the_cache_is_what_the_cpu_says(known, n_bytes, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert cache_bytes() == n_bytes


def test_a_cache_of_which_nobody_can_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert cache_bytes() == 2**21
