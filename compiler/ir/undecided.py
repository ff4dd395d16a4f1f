"""Values that a decision has not settled yet.

A `Var` is a table from joint assignments of decisions to plain values: the value of ``k = 3 | 5`` is a Var over one
decision with the values 3 and 5, and ``2 * k`` one with the values 6 and 10. Numbers, operations and bundles alike can
be undecided, so that one mechanism carries every kind of choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar, overload

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
N = TypeVar("N", bound=float)

MOST = 10_000
"""The most elements of a bundle, indices of a family, and joint cases of choices in one place."""


MOST_ITEMS = 1_000
"""The most items of a choice and candidates of a pick: costs and counts grow with items times places."""

MOST_PICKS = 20_000
"""The largest product of the numbers of candidates taken and left: the count of a pick has as many terms."""


class TooManyCasesError(Exception):
    """A value would have more than `MOST` elements or joint cases."""


@dataclass(frozen=True)
class Var(Generic[T_co]):
    """One value per joint assignment of ``decisions``, in lexicographic order of the assignments.

    ``sizes`` gives the number of items of each decision; ``values`` has their product many entries.
    """

    decisions: tuple[str, ...]
    sizes: tuple[int, ...]
    values: tuple[T_co, ...]

    def __str__(self) -> str:
        distinct = {str(value).lower() if isinstance(value, bool) else str(value): None for value in self.values}
        return f"{{{', '.join(distinct)}}} of {' and '.join(self.decisions)}"


class Open:
    """A width that is to be solved from the readers of the tensor (``open``); no two are equal."""

    def __repr__(self) -> str:
        return "open"


def is_plain(value: object) -> bool:
    """Whether a value is a number or a text, maybe undecided or open: not an operation, nor a bundle."""
    return isinstance(value.values[0] if isinstance(value, Var) else value, int | float | str | Open)


def assignments(sizes: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """All joint assignments of decisions with so many items each, in lexicographic order."""
    return product(*map(range, sizes))


def spread(values: Iterable[object]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The decisions that any of the values depends on, in order of first mention, and their sizes.

    Raises:
        TooManyCasesError: they have more than `MOST` joint assignments.
    """
    found: dict[str, int] = {}
    for value in values:
        if isinstance(value, Var):
            found.update((d, s) for d, s in zip(value.decisions, value.sizes, strict=True) if d not in found)
    if math.prod(found.values()) > MOST:
        raise TooManyCasesError(f"too many joint cases of choices: {', '.join(found)}")
    return tuple(found), tuple(found.values())


@overload
def settle(value: Var[T], decisions: tuple[str, ...], assignment: tuple[int, ...]) -> T: ...
@overload
def settle(value: T, decisions: tuple[str, ...], assignment: tuple[int, ...]) -> T: ...
def settle(value: Var[T] | T, decisions: tuple[str, ...], assignment: tuple[int, ...]) -> T:
    """The value under an assignment of ``decisions`` (which include all that it depends on)."""
    if not isinstance(value, Var):
        return value
    chosen = dict(zip(decisions, assignment, strict=True))
    index = 0
    for decision, size in zip(value.decisions, value.sizes, strict=True):
        index = index * size + chosen[decision]
    found: T = value.values[index]
    return found


def lift(function: Callable[..., T], *values: object) -> T | Var[T]:
    """Apply a function of plain values to values of which some may be undecided.

    The result depends on no decision that makes no difference to it: where ``w == v``, a width that is one of the two
    is that of ``v`` whatever else is decided.

    Raises:
        TooManyCasesError: the values depend on decisions with more than `MOST` joint assignments.
    """
    decisions, sizes = spread(values)
    if not decisions:
        return function(*values)
    table = tuple(
        function(*(settle(value, decisions, assignment) for value in values)) for assignment in assignments(sizes)
    )
    for position in reversed(range(len(decisions))):
        smaller = _without(position, sizes, table)
        if smaller is not None:
            decisions, sizes, table = _dropped(decisions, position), _dropped(sizes, position), smaller
    return Var(decisions, sizes, table) if decisions else table[0]


def _without(position: int, sizes: Sequence[int], table: tuple[T, ...]) -> tuple[T, ...] | None:
    """A table without one of its decisions; None where that makes a difference."""
    size, step = sizes[position], math.prod(sizes[position + 1 :])
    block = size * step
    for start in range(0, len(table), block):
        for offset in range(start, start + step):
            first = table[offset]
            others = table[offset + step : start + block : step]
            if not all(type(entry) is type(first) and entry == first for entry in others):
                return None
    return tuple(table[start + offset] for start in range(0, len(table), block) for offset in range(step))


def _dropped(items: tuple[T, ...], position: int) -> tuple[T, ...]:
    return (*items[:position], *items[position + 1 :])


def largest(value: Var[N] | N) -> N:
    """The largest of the values that a number may take."""
    return max(value.values) if isinstance(value, Var) else value
