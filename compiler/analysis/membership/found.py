"""What a match gives: decisions that make it, or the place where the architecture leaves the space and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

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


MOST = 1000
"""How many ways to match a pair are looked at: beyond, they only differ in what makes no difference."""


@dataclass
class Ways:
    """The ways in which a pair matches, each once; they are found when they are asked for, whoever asks first.

    ``leaves`` says why there are none.
    """

    source: Iterator[Found]
    found: list[Found] = field(default_factory=list)
    leaves: Leaves | None = None

    def __iter__(self) -> Iterator[Found]:
        for position in count():
            if position == len(self.found) and not self._find():
                return
            yield self.found[position]

    def _find(self) -> bool:
        """Look for one more way."""
        try:
            new = next((way for way in self.source if way not in self.found), None)
        except Leaves as leaves:
            self.leaves, new = leaves, None
        if new is None or len(self.found) == MOST:
            return False
        self.found.append(new)
        return True


def merge(left: Found, right: Found) -> Found | None:
    """Two sets of decisions together, unless they disagree."""
    if any(left.get(path, items) != items for path, items in right.items()):
        return None
    return {**left, **right}
