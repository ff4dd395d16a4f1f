"""Ways to choose, as a circuit of sums and products: counted at its root, and each of them found by its number.

Counting adds and multiplies. Done on circuits instead of numbers, the same arithmetic keeps what it counted: under a
sum exactly one part holds, under a product all do, and at the leaves decisions are made. So an architecture is a number
below `Circuit.number`, and whoever draws that number uniformly draws uniformly over architectures, not over paths.
(A deterministic, decomposable circuit; Darwiche and Marquis, "A Knowledge Compilation Map", JAIR 2002.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A decision takes these items. A pick is spread over several leaves: that it exists, and each item it takes."""

    decision: str
    items: tuple[int, ...]
    number: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Either:
    """One of the parts; ``ends`` are their numbers, added up."""

    parts: tuple[Circuit, ...]
    ends: tuple[int, ...]

    @property
    def number(self) -> int:
        return self.ends[-1] if self.ends else 0


@dataclass(frozen=True, slots=True, eq=False)
class All:
    """All parts together, which decide nothing in common."""

    parts: tuple[Circuit, ...]
    number: int


Circuit: TypeAlias = "Made | Either | All"

ONE = All((), 1)
"""The one way to decide nothing."""

NOTHING = Either((), ())
"""No way."""


def either(parts: Iterable[Circuit]) -> Circuit:
    """The sum of ways of which no two are the same."""
    some = tuple(part for part in parts if part.number)
    if len(some) == 1:
        return some[0]
    return Either(some, tuple(accumulate(part.number for part in some))) if some else NOTHING


def both(*parts: Circuit) -> Circuit:
    """The product of ways that decide nothing in common."""
    some = tuple(part for part in parts if part is not ONE)
    if len(some) == 1:
        return some[0]
    number = prod(part.number for part in some)
    return NOTHING if not number else All(some, number) if some else ONE


def way(circuit: Circuit, rank: int) -> dict[str, tuple[int, ...]]:
    """The decisions of way number ``rank``, counted from 0; those that do not exist there are not in it."""
    if not 0 <= rank < circuit.number:
        raise IndexError(f"there is no way {rank} of {circuit.number}")
    found: dict[str, tuple[int, ...]] = {}
    pending: list[tuple[Circuit, int]] = [(circuit, rank)]
    while pending:
        part, rank = pending.pop()
        match part:
            case Made(decision, items):
                found[decision] = tuple(sorted((*found.get(decision, ()), *items)))
            case Either(parts, ends):
                index = bisect_right(ends, rank)
                pending.append((parts[index], rank - (ends[index - 1] if index else 0)))
            case All(parts):
                for inner in reversed(parts):
                    rank, own = divmod(rank, inner.number)
                    pending.append((inner, own))
    return found
