import os
import subprocess
import sys

import pytest
import torch

from skclr.memory import cache_bytes

# A tensor of 64 MiB, which glibc maps by itself, and at the end a larger one than the hole that those leave.
PAGES = """
import resource, torch
from skclr import memory
from skclr.memory import freed_memory_kept, freed_memory_returned

def faults(n_floats=2**24):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(n_floats)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

before = faults()
with freed_memory_kept():
    faults()
with freed_memory_kept():
    kept, held = faults(), resident()
    memory._KEPT_BYTES = 2**25
given_back = held - resident()
with freed_memory_returned():
    print(before, kept, given_back, faults(2**26))
"""


def pages(**environment):
    """Count pages in a process of its own: faults as its allocator is, where it keeps memory, given back, returning."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    run = subprocess.run(
        [sys.executable, "-c", PAGES], env=clean | environment, capture_output=True, text=True, check=True
    )
    return map(int, run.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_freed_memory_is_taken_again_without_faults_until_it_is_given_back():
    before, kept, given_back, returned = pages()
    if before < 100:
        pytest.skip("this allocator keeps what is freed")
    assert kept < min(before, returned) / 10
    assert given_back * os.sysconf("SC_PAGE_SIZE") > 48 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_what_the_user_has_set_stays():
    before, kept, given_back, _ = pages(MALLOC_TRIM_THRESHOLD_=str(2**20))
    assert kept == pytest.approx(before, rel=0.1)
    assert given_back < 100


@pytest.mark.parametrize(
    ("known", "n_bytes"), [({}, 2**21), ({"l2_cache_size": 2**20}, 2**21), ({"l2_cache_size": 2**23}, 2**23)]
)
def test_the_cache_is_what_the_cpu_says(known, n_bytes, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert cache_bytes() == n_bytes


def test_a_cache_of_which_nobody_can_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert cache_bytes() == 2**21
