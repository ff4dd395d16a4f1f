"""Pausing Python's cyclic garbage collector where graphs are built.

It looks at all there is, again and again, and what a pass builds is kept: above some thousand nodes that would take
more time than the pass, and grow faster than the graph.
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
