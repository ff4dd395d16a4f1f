"""Running out of memory, as the exceptions of Python, numpy and torch say it. No torch."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; that of torch is a `RuntimeError`, on the CPU without a class."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
    )
