"""Ways to choose, as a circuit: counted at its root, and each of them found by its number.

Counting adds and multiplies. Done on circuits instead of numbers, the same arithmetic keeps what it counted: under an
`Or` exactly one part holds, under an `And` all do, and at a `Literal` a decision is made. So an architecture is a
number below `Circuit.number`, and a uniform draw of that number is uniform over architectures, not over paths.
(A deterministic, decomposable circuit; Darwiche and Marquis, "A Knowledge Compilation Map", JAIR 2002.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod
from random import Random
from typing import TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A decision takes these items. A pick is spread over several leaves: that it exists, and each item it takes."""

    decision: str
    items: tuple[int, ...]
    number: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Or:
    """One of the parts; ``ends`` are their numbers, added up."""

    parts: tuple[Circuit, ...]
    ends: tuple[int, ...]

    @property
    def number(self) -> int:
        """How many there are."""
        return self.ends[-1] if self.ends else 0


@dataclass(frozen=True, slots=True, eq=False)
class And:
    """All parts together, which decide nothing in common."""

    parts: tuple[Circuit, ...]
    number: int


Circuit: TypeAlias = "Literal | Or | And"

ONE = And((), 1)
"""The one way to decide nothing."""

NOTHING = Or((), ())
"""No way."""


def either(parts: Iterable[Circuit]) -> Circuit:
    """The sum of ways of which no two are the same."""
    some = tuple(part for part in parts if part.number)
    if len(some) == 1:
        return some[0]
    return Or(some, tuple(accumulate(part.number for part in some))) if some else NOTHING


def both(*parts: Circuit) -> Circuit:
    """The product of ways that decide nothing in common."""
    some = tuple(part for part in parts if part is not ONE)
    if len(some) == 1:
        return some[0]
    number = prod(part.number for part in some)
    return NOTHING if not number else And(some, number) if some else ONE


def way(circuit: Circuit, rank: int) -> dict[str, tuple[int, ...]]:
    """The decisions of way number ``rank``, counted from 0; those that do not exist there are not in it."""
    if not 0 <= rank < circuit.number:
        raise IndexError(f"there is no way {rank} of {circuit.number}")
    found: dict[str, tuple[int, ...]] = {}
    pending: list[tuple[Circuit, int]] = [(circuit, rank)]
    while pending:
        part, rank = pending.pop()
        match part:
            case Literal(decision, items):
                found[decision] = tuple(sorted((*found.get(decision, ()), *items)))
            case Or(parts, ends):
                index = bisect_right(ends, rank)
                pending.append((parts[index], rank - (ends[index - 1] if index else 0)))
            case And(parts):
                for inner in reversed(parts):
                    rank, own = divmod(rank, inner.number)
                    pending.append((inner, own))
    return found


Worth: TypeAlias = "Callable[[str, int | None], float | None]"
"""The worth of an item that a decision takes, and, for None, of a pick that exists; None forbids it."""


def best_way(circuit: Circuit, worth: Worth, source: Random) -> dict[str, tuple[int, ...]] | None:
    """One of the ways of the highest total worth, drawn uniformly among them; None where none is allowed.

    Args:
        circuit: the ways.
        worth: of a decision and an item that it takes, and of each pick; the worths of all of a way are added up.
        source: what draws. Worths that are whole numbers are compared exactly.
    """
    parts, known = inner_first(circuit), _best(circuit, worth)
    if not known[-1][1]:
        return None
    found: dict[str, tuple[int, ...]] = {}
    pending = [len(parts) - 1]
    while pending:
        at = pending.pop()
        here, inner = parts[at]
        match here:
            case Literal(decision, items):
                found[decision] = tuple(sorted((*found.get(decision, ()), *items)))
            case Or():
                total = known[at][0]
                top = [part for part in inner if known[part][1] and known[part][0] == total]
                rank = source.randrange(sum(known[part][1] for part in top))
                for part in top:
                    rank -= known[part][1]
                    if rank < 0:
                        pending.append(part)
                        break
            case And():
                pending += reversed(inner)
    return found


def agreement(wanted: Mapping[str, tuple[int, ...]], decision: str, item: int | None) -> int:
    """The worth of an item: positive where it is wanted, negative where it is not, else 0."""
    return 0 if item is None or decision not in wanted else 1 if item in wanted[decision] else -1


def way_of(circuit: Circuit, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]] | None:
    """A way with these decisions, as far as they exist in it; None where there is none."""
    found = best_way(circuit, lambda decision, item: agreement(wanted, decision, item), Random(0))
    return None if found is None or any(items != wanted.get(name, items) for name, items in found.items()) else found


def rank_of(circuit: Circuit, wanted: Mapping[str, tuple[int, ...]]) -> int:
    """The number of the way that decides just this: the inverse of `way`.

    Raises:
        ValueError: there is none.
    """

    def worth(decision: str, item: int | None) -> float:
        return agreement(wanted, decision, item) if decision in wanted else -1

    parts, known = inner_first(circuit), _best(circuit, worth)
    rank = 0
    pending = [(len(parts) - 1, 1)]
    while pending:
        at, scale = pending.pop()
        here, inner = parts[at]
        match here:
            case Or(ends=ends) if inner:
                index = max(range(len(inner)), key=lambda index: known[inner[index]][0])
                rank += scale * (ends[index - 1] if index else 0)
                pending.append((inner[index], scale))
            case And():
                for part in reversed(inner):
                    pending.append((part, scale))
                    scale *= parts[part][0].number
    if not circuit.number or way(circuit, rank) != dict(wanted):
        raise ValueError("no way decides just this")
    return rank


def _best(circuit: Circuit, worth: Worth) -> list[tuple[float, int]]:
    """The highest worth of the ways of each part of a circuit, and how many have it, in the order of `inner_first`."""
    known: list[tuple[float, int]] = []
    for part, inner in inner_first(circuit):
        top: float = 0
        number = 1
        if isinstance(part, Literal):
            for item in part.items or (None,):
                value = worth(part.decision, item)
                if value is None:
                    top, number = 0, 0
                    break
                top += value
        elif isinstance(part, And):
            for at in inner:
                value, ways = known[at]
                top += value
                number *= ways
        else:
            number = 0
            for at in inner:
                value, ways = known[at]
                if ways and (value > top or not number):
                    top, number = value, ways
                elif ways and value == top:
                    number += ways
        known.append((top, number))
    return known


@lru_cache(16)
def inner_first(circuit: Circuit) -> tuple[tuple[Circuit, tuple[int, ...]], ...]:
    """Every part of a circuit once, and where those inside it stand, which is before it.

    It is remembered, as explorers ask one circuit often.
    """
    found: list[tuple[Circuit, tuple[int, ...]]] = []
    places: dict[int, int] = {}
    pending: list[tuple[Circuit, bool]] = [(circuit, False)]
    while pending:
        part, done = pending.pop()
        inner = () if isinstance(part, Literal) else part.parts
        if id(part) in places:
            continue
        if done:
            places[id(part)] = len(found)
            found.append((part, tuple(places[id(other)] for other in inner)))
        else:
            pending.append((part, True))
            pending += ((other, False) for other in inner)
    return tuple(found)


def narrowed(circuit: Circuit, allowed: Callable[[str, tuple[int, ...]], bool]) -> Circuit:
    """Only those of the ways in which every decision takes what is allowed."""
    known: list[Circuit] = []
    for part, inner in inner_first(circuit):
        match part:
            case Literal(decision, items):
                known.append(part if allowed(decision, items) else NOTHING)
            case Or():
                known.append(either(known[at] for at in inner))
            case And():
                known.append(both(*(known[at] for at in inner)))
    return known[-1]
