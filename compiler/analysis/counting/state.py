"""States of the count from the output back (`.structural`): demands on the steps still to come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from compiler.ir.combinatorics.polynomial import Tag


class State(NamedTuple):
    """A state of the count: ``demands`` are the steps to come that must, or must not, exist.

    ``tags`` hold the item that a decision takes, or how many a pick has taken so far (-1: it takes nothing);
    ``grades`` are the values so far of the required quantities; ``lacking`` are the sums and concatenations that must
    exist but have no existing source so far; ``made`` are the items that the current step decides.
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
        """The state without the demand on a step."""
        return self._replace(demands=self.demands - {(step, True), (step, False)})

    def demanding(self, steps: Iterable[int], exist: bool = True) -> Iterator[State]:
        """The state with demands on more steps; nothing where one contradicts an earlier demand."""
        more = frozenset((step, exist) for step in steps)
        if not any((step, not exist) in self.demands for step, _ in more):
            yield self._replace(demands=self.demands | more)

    def without(self, names: Iterable[str]) -> State:
        """The state without the tags of decisions."""
        return self._replace(tags=frozenset(tag for tag in self.tags if isinstance(tag, str) or tag[0] not in names))

    def tagged(self, name: str, value: int) -> State:
        """The state with a tag: the item of a decision, or how many a pick has taken."""
        return self._replace(tags=self.without([name]).tags | {(name, value)})

    def making(self, name: str, *items: int) -> State:
        """The state in which a decision is recorded to take these items; without items, to exist."""
        return self._replace(made=(*self.made, (name, items)))
