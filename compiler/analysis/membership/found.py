"""Results of a match: the decisions that make it, or the place where the architecture leaves the space and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from compiler.ir.decision import Selection
from compiler.util.errors import UsageError


@dataclass(frozen=True)
class NotInSpaceError(Exception):
    """The architecture leaves the space at a decision or line."""

    path: str
    reason: str


MOST_STEPS = 500_000
"""How many pairs of nodes are compared, and ways put together: a few seconds. The shipped spaces take up to 20,000."""


class Effort:
    """Bounds the work of one comparison of texts."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        """Count a pair of nodes, or two ways that are put together.

        Raises:
            UsageError: they are too many.
        """
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise UsageError("whether it lies in the space is not known: its lines match in too many ways")


class Misses:
    """Reasons why a line does not match, of which the most specific one is reported."""

    def __init__(self) -> None:
        self.best: NotInSpaceError | None = None
        self._rank = 0

    def clear(self) -> None:
        """Forget the reasons of the line before."""
        self.best, self._rank = None, 0

    def note(self, rank: int, path: str, reason: str) -> None:
        """Note a reason; the higher the ``rank``, the more specific it is. Of equal ones the first stays."""
        if self.best is None or rank > self._rank:
            self.best, self._rank = NotInSpaceError(path, reason), rank


MOST = 1000
"""How many ways to match a pair are tried: further ones differ only in decisions that change nothing."""


@dataclass
class Ways:
    """The ways in which a pair matches, each once; they are found when they are asked for, and kept for later readers.

    ``refusal`` says why there are none.
    """

    source: Iterator[Selection]
    found: list[Selection] = field(default_factory=list)
    refusal: NotInSpaceError | None = None

    def __iter__(self) -> Iterator[Selection]:
        for position in count():
            if position == len(self.found) and not self._find():
                return
            yield self.found[position]

    def _find(self) -> bool:
        """Look for one more way."""
        try:
            new = next((way for way in self.source if way not in self.found), None)
        except NotInSpaceError as refusal:
            self.refusal, new = refusal, None
        if new is None or len(self.found) == MOST:
            return False
        self.found.append(new)
        return True


def merge(left: Selection, right: Selection) -> Selection | None:
    """Two sets of decisions together, unless they disagree."""
    if any(left.get(path, items) != items for path, items in right.items()):
        return None
    return {**left, **right}
