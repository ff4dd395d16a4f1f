"""Numbers of things in sentences."""

from __future__ import annotations


def plural(number: int, word: str, words: str | None = None) -> str:
    """``3 inputs``, ``1 input``, ``no inputs``."""
    return f"{number or 'no'} {word if number == 1 else words or f'{word}s'}"
