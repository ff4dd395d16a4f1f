"""Memory: how much there is, and running out of it as the exceptions of Python, numpy and torch say it. No torch."""

from __future__ import annotations

import os


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; that of torch is a `RuntimeError`, on the CPU without a class."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
    )


def physical_memory() -> int | None:
    """The bytes of memory that this machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
