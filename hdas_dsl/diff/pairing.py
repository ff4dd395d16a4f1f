"""Which pieces of two sides belong together: by name, by likeness, or in order.

Every choice is blind to which side is which, so that a difference and its reverse have equally many changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product, zip_longest
from typing import TypeAlias, TypeVar

from hdas_dsl.tree.ast import Node

from .canonical import key, same
from .model import Change

T = TypeVar("T")
N = TypeVar("N", bound=Node)

MAX_CELLS = 1024
"""The most cells of the table that aligns two sequences; longer ones are compared by position."""

MAX_PAIRS = 100_000
"""The most pairs of items whose likeness is compared; those of longer multisets are compared by position."""

_Way: TypeAlias = tuple[int, int, list[Change]]
"""Changes that lead from one beginning to another: how many, minus the number of items in common, and the changes."""


# ---------------------------------------------------------------- by name


def by_name(
    left: Iterable[T], right: Iterable[T], name: Callable[[T], str]
) -> Iterator[tuple[str, T | None, T | None]]:
    """Items of one name on both sides, in the order of the left, then those that only the right has."""
    ours, theirs = _named(left, name), _named(right, name)
    for title, count in [*ours, *(other for other in theirs if other not in ours)]:
        yield title, ours.get((title, count)), theirs.get((title, count))


def _named(items: Iterable[T], name: Callable[[T], str]) -> dict[tuple[str, int], T]:
    """By name and, should a name come twice, its occurrence."""
    seen: Counter[str] = Counter()
    found = {}
    for item in items:
        title = name(item)
        found[title, seen[title]] = item
        seen[title] += 1
    return found


# ---------------------------------------------------------------- by likeness


def by_rank(
    left: Sequence[N], right: Sequence[N], rank: Callable[[N, N], int | None]
) -> Iterator[tuple[N | None, N | None]]:
    """The items that differ of two multisets, the most alike together: lower ranks first, never those without one."""
    common = Counter(map(key, left)) & Counter(map(key, right))
    ours, theirs = _without(left, common), _without(right, common)
    pairs: Iterable[tuple[int, int]] = product(range(len(ours)), range(len(theirs)))
    if len(ours) * len(theirs) > MAX_PAIRS:
        pairs = ((i, i) for i in range(min(len(ours), len(theirs))))
    ranked = [
        (place, sorted((ours[i][0], theirs[j][0])), i, j)
        for i, j in pairs
        if (place := rank(ours[i][1], theirs[j][1])) is not None
    ]
    match: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, i, j in sorted(ranked):
        if i not in match and j not in taken:
            match[i] = j
            taken.add(j)
    for i, (_, one) in enumerate(ours):
        yield one, theirs[match[i]][1] if i in match else None
    yield from ((None, other) for j, (_, other) in enumerate(theirs) if j not in taken)


def _without(items: Sequence[N], common: Counter[str]) -> list[tuple[str, N]]:
    """The items and their keys, less those in common."""
    spare = Counter(common)
    kept = []
    for item in items:
        found = key(item)
        if not spare[found]:
            kept.append((found, item))
        spare[found] -= spare[found] > 0
    return kept


# ---------------------------------------------------------------- in order


def aligned(
    left: Sequence[N], right: Sequence[N], compare: Callable[[int | None, int | None], list[Change]]
) -> list[Change]:
    """The fewest changes that lead from one sequence to another.

    Args:
        left: The one sequence.
        right: The other.
        compare: The changes between the items at two positions, or for the item of one side alone.
    """
    start, end, other = 0, len(left), len(right)
    while start < min(end, other) and same(left[start], right[start]):
        start += 1
    while start < min(end, other) and same(left[end - 1], right[other - 1]):
        end, other = end - 1, other - 1
    ours, theirs = range(start, end), range(start, other)
    if len(ours) * len(theirs) > MAX_CELLS:
        return [c for i, j in zip_longest(ours, theirs) if not same(at(left, i), at(right, j)) for c in compare(i, j)]
    gone, new = {i: compare(i, None) for i in ours}, {j: compare(None, j) for j in theirs}
    # For each beginning of the right the cheapest way so far, ties going to more items in common.
    best: list[_Way] = [(0, 0, [])]
    for j in theirs:
        best.append(_longer(best[-1], new[j]))
    for i in ours:
        row = [_longer(best[0], gone[i])]
        for k, j in enumerate(theirs):
            both = [] if same(left[i], right[j]) else compare(i, j)
            ways = _longer(best[k], both), _longer(best[k + 1], gone[i]), _longer(row[k], new[j])
            row.append(min(ways, key=lambda way: way[:2]))
        best = row
    return best[-1][2]


def in_order(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether the names that both sides have come in one order."""
    ours, theirs = set(left), set(right)
    return [name for name in left if name in theirs] == [name for name in right if name in ours]


def at(items: Sequence[N], position: int | None) -> N | None:
    """The item at a position, if there is one."""
    return None if position is None else items[position]


def _longer(way: _Way, changes: list[Change]) -> _Way:
    cost, unlike, before = way
    return cost + len(changes), unlike - (not changes), before + changes
