"""The changes that a search makes to a space when it builds the supernet; architectures do not have them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Building:
    """Changes that a search makes to menus of operations.

    ``partial``: how many channels there are to one that goes through the items (`.partial`); ``beside``: the item that
    is added to the weighted sum once more, outside of all weights, in menus that have it; ``dropout``: the item behind
    which numbers are dropped, where it keeps the shape of what it gets (`.additions`).
    """

    partial: int = 1
    beside: str | None = None
    dropout: str | None = None


AS_WRITTEN = Building()
"""Menus of operations as they are written."""
