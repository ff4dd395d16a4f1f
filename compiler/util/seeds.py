"""Seeds that are functions of where in a run something random happens."""

from __future__ import annotations

import hashlib


def mix(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on their order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1
