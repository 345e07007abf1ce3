import os
import subprocess
import sys

import pytest
import torch

from skclr.parts.memory import cache_bytes

PAGES = """
import resource, torch
from skclr.parts.memory import keep_freed_memory, return_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [torch.ones(2**20) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed_memory()
faults()
kept = faults()
return_freed_memory()
print(before, kept, faults())
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
    before, kept, returned = faults()
    if before < 1_000:
        pytest.skip("this allocator keeps what is freed")
    assert kept < min(before, returned) / 10


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_what_the_user_has_set_stays():
    before, *after = faults(MALLOC_TRIM_THRESHOLD_=str(2**20))
    assert after == pytest.approx([before, before], rel=0.1)


@pytest.mark.parametrize(
    ("known", "n_bytes"), [({}, 2**21), ({"l2_cache_size": 2**20}, 2**21), ({"l2_cache_size": 2**23}, 2**23)]
)
def test_the_cache_is_what_the_cpu_says(known, n_bytes, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert cache_bytes() == n_bytes


def test_a_cache_of_which_nobody_can_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert cache_bytes() == 2**21
