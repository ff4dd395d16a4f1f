"""Steps from architectures of a network to others that are near: one choice changed, choices drawn anew, two crossed.

What comes out is one of the architectures that agree with what it should be in as many items as the space allows, drawn
uniformly among these: choices that only now exist are drawn, those that no longer exist are gone, and what the space
requires of structure holds. The circuit of the space finds it, so that no repair is needed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from random import Random

from compiler.derivation.presence import settle
from compiler.ir.combinatorics.circuit import agreement, best_way
from compiler.ir.decision import Decision, DecisionKind, Selection
from hdas_dsl.text.diagnostics import HspError

from .space_list import Choices, Part

# ---------------------------------------------------------------- one choice changed


def changes(parts: Sequence[Part], choices: Choices, source: Random) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """All ways to decide one choice otherwise, in random order: the choices first, then what each may take."""
    places = [(position, path) for position, made in enumerate(choices) for path in made]
    source.shuffle(places)
    for position, path in places:
        decision = parts[position].space.decisions[path]
        others = list(_others(decision, choices[position][path]))
        source.shuffle(others)
        for items in others:
            yield position, path, items


def _others(decision: Decision, items: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The other selections of a decision."""
    every = range(len(decision.items))
    match decision.kind:
        case DecisionKind.PICK:
            for item in every:
                found = {*items} ^ {item}
                if decision.least <= len(found) <= decision.most:
                    yield tuple(sorted(found))
            for gone in items if decision.bounded else ():
                yield from (tuple(sorted({*items} - {gone} | {item})) for item in every if item not in items)
        case _:
            yield from ((item,) for item in decision.derivable_items if (item,) != items)


def changed(part: Part, parent: Selection, path: str, items: tuple[int, ...], source: Random) -> Selection | None:
    """The parent with one choice decided otherwise; None where the space has no such architecture."""
    wanted: Mapping[str, tuple[int, ...]] = {**parent, path: items}

    def worth(name: str, item: int | None) -> float | None:
        if item is None or name not in wanted:
            return 0
        return 1 if item in wanted[name] else None

    child = best_way(part.circuit, worth, source)
    if child is None or child.get(path) != items:
        return None
    try:
        # A pick may only lose what is no longer there.
        settled = settle(part.space, part.completed({**child, **wanted})).chosen
    except HspError:
        return None
    return child if all(child[name] == settled[name] for name in parent if name in child) else None


# ---------------------------------------------------------------- choices drawn anew


def redrawn(part: Part, parent: Selection, rate: float, source: Random) -> Selection:
    """The parent, each of whose choices is drawn anew with the probability ``rate``; it may come out as it was."""
    wanted = {
        path: _drawn(part.space.decisions[path], source) if source.random() < rate else items
        for path, items in sorted(parent.items())
    }
    child = best_way(part.circuit, lambda path, item: agreement(wanted, path, item), source)
    assert child is not None, "the parent is a way"
    return child


def _drawn(decision: Decision, source: Random) -> tuple[int, ...]:
    """A uniform selection of a decision, whatever others take."""
    every = range(len(decision.items))
    match decision.kind:
        case DecisionKind.PICK if not decision.bounded:
            return tuple(item for item in every if source.random() < 0.5)
        case DecisionKind.PICK:
            sizes = range(decision.least, decision.most + 1)
            size = source.choices(sizes, [comb(len(every), k) for k in sizes])[0] if len(sizes) > 1 else sizes[0]
            return tuple(sorted(source.sample(every, size)))
        case _:
            return (source.choice(decision.derivable_items),)


# ---------------------------------------------------------------- two crossed


@dataclass(frozen=True)
class _Mix:
    """The items that a child should take, and those that it may."""

    wanted: Mapping[str, tuple[int, ...]]
    allowed: Mapping[str, frozenset[int]]

    def worth(self, path: str, item: int | None) -> float | None:
        if item is None or path not in self.allowed:
            return 0
        return agreement(self.wanted, path, item) if item in self.allowed[path] else None


def crossed(part: Part, left: Selection, right: Selection, source: Random) -> Selection:
    """A child of two architectures that takes each choice from one of them, by a fair coin."""
    coins = {path: source.random() < 0.5 for path in sorted({**left, **right})}
    first = {path: (left if coins[path] else right) for path in coins}
    wanted = {path: made.get(path, left.get(path, right.get(path, ()))) for path, made in first.items()}
    allowed = {path: frozenset((*left.get(path, ()), *right.get(path, ()))) for path in coins}
    child = best_way(part.circuit, _Mix(wanted, allowed).worth, source)
    assert child is not None, "each parent is a child that is allowed"
    return child
