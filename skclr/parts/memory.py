"""What the machine's memory is like, and how it is kept."""

import torch


def keep_freed_memory() -> None:
    """Have the C library keep the memory that a step frees for the next one.

    Notes
    -----
    glibc hands freed memory back to the system above a threshold, and the next step takes it again page by page, which
    was up to a fifth of a step of a small CNN. The threshold follows the largest block that was ever freed, up to twice
    32 MiB; a block that nobody touches costs nothing. Other libraries do not mind, and what a user has set in
    MALLOC_TRIM_THRESHOLD_ stays.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def cache_bytes() -> int:
    """Give the bytes of a core's second-level cache, as far as torch tells, and 2 MiB at least."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return max(2**21, known.get("l2_cache_size", 0))
