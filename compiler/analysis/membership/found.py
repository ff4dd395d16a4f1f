"""What a match gives: decisions that make it, or the place where the architecture leaves the space and why."""

from __future__ import annotations

from dataclasses import dataclass

Found = dict[str, tuple[int, ...]]
"""The chosen item indices of decisions, by path."""


@dataclass(frozen=True)
class Leaves(Exception):
    """The architecture leaves the space at a decision or line."""

    path: str
    reason: str


class Misses:
    """Reasons why a line does not match, of which the most specific one is reported."""

    def __init__(self) -> None:
        self.best: Leaves | None = None
        self._rank = 0

    def clear(self) -> None:
        """Forget the reasons of the line before."""
        self.best, self._rank = None, 0

    def note(self, rank: int, path: str, reason: str) -> None:
        """Note a reason; the higher the ``rank``, the more specific it is. Of equal ones the first stays."""
        if self.best is None or rank > self._rank:
            self.best, self._rank = Leaves(path, reason), rank


def merge(left: Found, right: Found) -> Found | None:
    """Two sets of decisions together, unless they disagree."""
    if any(left.get(path, items) != items for path, items in right.items()):
        return None
    return {**left, **right}
