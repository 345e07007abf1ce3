"""What the machine's memory is like, and how it is kept."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Of glibc's mallopt: how much free memory at the heap's end goes back, and which blocks are mapped each for itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_NEVER, _MANY = -1, 2**16
_KEPT_BYTES, _MAPPED_BYTES = 2**30, 2**25
_FEW_BYTES = 2**20


def keep_freed_memory() -> None:
    """Have the C library keep up to 1 GiB of what is freed for what comes next, for as long as the process lives.

    Notes
    -----
    glibc hands freed memory back to the system, and what comes next takes it again page by page. Other libraries are
    left alone, and so is glibc where the user has set it (MALLOC_TRIM_THRESHOLD_ and its like, GLIBC_TUNABLES).
    """
    _set_malloc({_MMAP_THRESHOLD: _MAPPED_BYTES, _TRIM_THRESHOLD: _KEPT_BYTES, _MMAP_MAX: _MANY})


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Have the C library keep all that a block frees for what it takes next, and give it back at the end if it is much.

    Notes
    -----
    As `keep_freed_memory`, whose bound is for what stays: a step takes and frees gigabytes, the next step as many.
    """
    _set_malloc({_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER})
    try:
        yield
    finally:
        keep_freed_memory()
        _trim(_KEPT_BYTES)


@contextmanager
def freed_memory_returned() -> Iterator[None]:
    """Have the C library give back what a block frees as soon as it is free.

    Notes
    -----
    Tensors from 1 MiB on are mapped each for itself. glibc's heap else grows with the number of chunks: a small tensor
    that stays behind each holds the rest of it apart.
    """
    _set_malloc({_MMAP_THRESHOLD: _FEW_BYTES, _TRIM_THRESHOLD: _FEW_BYTES, _MMAP_MAX: _MANY})
    _trim(0)
    try:
        yield
    finally:
        keep_freed_memory()


def _set_malloc(settings: dict[int, int]) -> None:
    if library := _glibc():
        for name, value in settings.items():
            library.mallopt(name, value)


def _trim(kept: int) -> None:
    """Give all that is free back, if it is more than what may be kept."""
    if library := _glibc():
        # Since glibc 2.33.
        count = getattr(library, "mallinfo2", None)
        if count:
            count.restype = _Mallinfo
        if not count or count().free > kept:
            library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Give the C library where it is glibc and the user has not set its allocator."""
    set_by_the_user = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and not set_by_the_user else None


class _Mallinfo(ctypes.Structure):
    """glibc's struct mallinfo2, whose ninth of ten fields are the free bytes."""

    _fields_ = [("others", ctypes.c_size_t * 8), ("free", ctypes.c_size_t), ("at_the_end", ctypes.c_size_t)]


def cache_bytes() -> int:
    """Give the bytes of a core's second-level cache, as far as torch tells, and 2 MiB at least."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return max(2**21, known.get("l2_cache_size", 0))
