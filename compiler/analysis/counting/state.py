"""States of the count from the output back (`.structural`): demands on the steps still to come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from compiler.ir.combinatorics.polynomial import Tag


class State(NamedTuple):
    """``demands`` says which steps to come must exist, and which must not; ``made`` what this step decides.

    A decision is tagged with the item that it takes, a pick with how many it has taken so far (-1: it takes nothing).
    ``lacking`` are the sums and concatenations that exist, and so need something to read, but have nothing so far.
    """

    demands: frozenset[tuple[int, bool]]
    tags: frozenset[Tag]
    grades: tuple[int, ...]
    lacking: frozenset[int] = frozenset()
    made: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def demand(self, step: int) -> bool | None:
        """Whether a step must exist, must not, or (None) neither."""
        return True if (step, True) in self.demands else False if (step, False) in self.demands else None

    def tag(self, name: str) -> int | None:
        """The item that a decision takes, or how many a pick has taken; None before anything demands it."""
        return next((tag[1] for tag in self.tags if not isinstance(tag, str) and tag[0] == name), None)

    def met(self, step: int) -> State:
        """Without the demand on a step."""
        return self._replace(demands=self.demands - {(step, True), (step, False)})

    def asking(self, steps: Iterable[int], exist: bool = True) -> Iterator[State]:
        """With a demand on more steps; nothing where that contradicts one made before."""
        more = frozenset((step, exist) for step in steps)
        if not any((step, not exist) in self.demands for step, _ in more):
            yield self._replace(demands=self.demands | more)

    def without(self, names: Iterable[str]) -> State:
        """Without the tags of decisions."""
        return self._replace(tags=frozenset(tag for tag in self.tags if isinstance(tag, str) or tag[0] not in names))

    def tagged(self, name: str, value: int) -> State:
        """With how many a pick has taken."""
        return self._replace(tags=self.without([name]).tags | {(name, value)})

    def making(self, name: str, *items: int) -> State:
        """With the items of a decision that it takes by this; none: it exists."""
        return self._replace(made=(*self.made, (name, items)))
