"""What the machine's memory is like, and how it is kept."""

import ctypes
import os
import sys

import torch

# Of glibc's mallopt: what is given back, and what is mapped for itself. The second's largest value is 32 MiB.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 2**30, 2**25
_FEW_BYTES = 2**20


def keep_freed_memory() -> None:
    """Have the C library keep the memory that a step frees for the next one, for as long as the process lives.

    Notes
    -----
    glibc hands freed memory back to the system above a threshold, and the next step takes it again page by page, which
    was up to a fifth of a step of a small CNN. Up to 1 GiB are kept. Other libraries are left alone, and so is glibc
    where the user has set it (MALLOC_TRIM_THRESHOLD_ and its like, GLIBC_TUNABLES).
    """
    _set_malloc(kept=_KEPT_BYTES, mapped=_MAPPED_BYTES)


def return_freed_memory() -> None:
    """Have the C library give memory back, what it has kept at once, until `keep_freed_memory` is asked again.

    Notes
    -----
    Tensors from 1 MiB on are mapped each for itself. glibc's heap else grows with the number of chunks: a small tensor
    that stays behind each holds the rest of it apart.
    """
    _set_malloc(kept=_FEW_BYTES, mapped=_FEW_BYTES)
    if library := _glibc():
        library.malloc_trim(0)


def _set_malloc(*, kept: int, mapped: int) -> None:
    if library := _glibc():
        library.mallopt(_MMAP_THRESHOLD, mapped)
        library.mallopt(_TRIM_THRESHOLD, kept)


def _glibc() -> ctypes.CDLL | None:
    """Give the C library where it is glibc and the user has not set its allocator."""
    set_by_the_user = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and not set_by_the_user else None


def cache_bytes() -> int:
    """Give the bytes of a core's second-level cache, as far as torch tells, and 2 MiB at least."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return max(2**21, known.get("l2_cache_size", 0))
