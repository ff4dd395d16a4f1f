"""Pausing Python's cyclic garbage collector where graphs are built.

The collector rescans every container of the growing graph, which takes quadratic time, and finds nothing, since what a
pass builds is kept.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected inside this context."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
