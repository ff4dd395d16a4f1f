"""Mutation and crossover: architectures of the same space that are near to given ones.

A child is one of the architectures that agree with what it should be in as many items as the space allows, drawn
uniformly among these: choices that only now exist are drawn, those that no longer exist are gone, and what the space
requires of structure holds. The circuit of the space finds it, so that no repair is needed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from compiler.analysis.membership.query import located
from compiler.derivation.presence import settle
from compiler.ir.combinatorics.circuit import agreement, best_way, way_of
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.program.request import Request
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError

from .sampling import TRIES, Nearest
from .space_list import Architecture, Architectures, Choices, Part


def mutate(listing: Architectures, parent: Request, seed: int = 0) -> Architecture:
    """An architecture of the space that differs from the parent in one choice, and in the decisions that depend on it.

    The choice is drawn uniformly among those that exist in the parent, then its new item among those that it may have
    while all others stay as they are: another item, one other input of a pick, one input more or less of `pick any`.

    Raises:
        UsageError: the parent does not lie in the space, or no choice of it can be changed alone.
    """
    source = Random(seed)
    choices = found_in(listing, parent)
    nearest = Nearest(listing)
    for position, path, items in _changes(listing, choices, source):
        part = listing.parts[position]
        child = _changed(part, choices[position], path, items, source)
        if child is None:
            continue
        changed = (*choices[:position], child, *choices[position + 1 :])
        notes = {"mutation": f'"{path}"', "parent": _digest(parent), "seed": str(seed)}
        made = Architecture(listing, changed, notes)
        if nearest.meets(made):
            return made
        if nearest.tries == TRIES:
            break
    if nearest.tries:
        raise nearest.refusal()
    raise UsageError(f"no choice of '{parent.path}' can be changed while all others stay as they are")


def crossover(listing: Architectures, left: Request, right: Request, seed: int = 0) -> Architecture:
    """An architecture of the space that takes each choice from one of two parents, by a fair coin.

    Where the space does not allow all that the coins say, as many items as it allows are taken, and only items of one
    of the parents; choices that neither parent has are drawn. A child that is one of its parents is given up once for
    another.

    Raises:
        UsageError: a parent does not lie in the space, or no child meets its requirements.
    """
    source = Random(seed)
    parents = [found_in(listing, parent) for parent in (left, right)]
    nearest = Nearest(listing)
    notes = {"parents": f"({_digest(left)}, {_digest(right)})", "seed": str(seed)}
    known: Architecture | None = None
    for _ in range(TRIES):
        child = tuple(
            _crossed(part, a, b, source) for part, a, b in zip(listing.parts, parents[0], parents[1], strict=True)
        )
        made = Architecture(listing, child, notes)
        if nearest.meets(made):
            if known is not None or child not in parents:
                return made
            known = made
    if known is not None:
        return known
    raise nearest.refusal()


def found_in(listing: Architectures, architecture: Request) -> Choices:
    """The decisions of a space that give an architecture.

    Raises:
        UsageError: it does not lie in the space; the message says where it leaves it.
    """
    answer = located(architecture, listing.request)
    if not answer.inside:
        raise UsageError(f"'{architecture.path}' is not in '{listing.request.path}': {answer.render()}")
    wanted = answer.decisions
    choices = []
    for part in listing.parts:
        found = way_of(part.circuit, wanted)
        if found is None:
            message = "its choices are those of no architecture that is counted"
            raise UsageError(f"'{architecture.path}' is not in '{listing.request.path}': {message}")
        choices.append(found)
    return tuple(choices)


# ---------------------------------------------------------------- mutation


def _changes(listing: Architectures, choices: Choices, source: Random) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """All ways to decide one choice otherwise, in random order: the choices first, then what each may take."""
    places = [(position, path) for position, made in enumerate(choices) for path in made]
    source.shuffle(places)
    for position, path in places:
        decision = listing.parts[position].space.decisions[path]
        others = list(_others(decision, choices[position][path]))
        source.shuffle(others)
        for items in others:
            yield position, path, items


def _others(decision: Decision, items: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The other selections of a decision."""
    every = range(len(decision.items))
    match decision.kind:
        case DecisionKind.ANY:
            for item in every:
                yield tuple(sorted({*items} ^ {item}))
        case DecisionKind.PICK:
            for gone in items:
                yield from (tuple(sorted({*items} - {gone} | {item})) for item in every if item not in items)
        case _:
            yield from ((item,) for item in every if decision.derivable[item] and (item,) != items)


def _changed(part: Part, parent: Selection, path: str, items: tuple[int, ...], source: Random) -> Selection | None:
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


# ---------------------------------------------------------------- crossover


@dataclass(frozen=True)
class _Mix:
    """The items that a child should take, and those that it may."""

    wanted: Mapping[str, tuple[int, ...]]
    allowed: Mapping[str, frozenset[int]]

    def worth(self, path: str, item: int | None) -> float | None:
        if item is None or path not in self.allowed:
            return 0
        return agreement(self.wanted, path, item) if item in self.allowed[path] else None


def _crossed(part: Part, left: Selection, right: Selection, source: Random) -> Selection:
    coins = {path: source.random() < 0.5 for path in sorted({**left, **right})}
    first = {path: (left if coins[path] else right) for path in coins}
    wanted = {path: made.get(path, left.get(path, right.get(path, ()))) for path, made in first.items()}
    allowed = {path: frozenset((*left.get(path, ()), *right.get(path, ()))) for path in coins}
    child = best_way(part.circuit, _Mix(wanted, allowed).worth, source)
    assert child is not None, "each parent is a child that is allowed"
    return child


def _digest(request: Request) -> str:
    """A parent by the hash of its text."""
    return f'"{request.compile().unit.sha256[:16]}"'
