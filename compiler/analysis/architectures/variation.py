"""Mutation and crossover of architectures that are written down: they are found in the space, then moved (`moves`)."""

from __future__ import annotations

from itertools import islice
from random import Random

from compiler.analysis.membership.query import located
from compiler.ir.combinatorics.circuit import way_of
from compiler.ir.decision import Selection
from compiler.program.request import Request
from compiler.util.errors import UsageError

from .grammar_space import GrammarSpace
from .moves import changed, changes, crossed
from .sampling import TRIES, Nearest
from .space_list import Architecture, Architectures, Choices, DrawnArchitecture


def mutate(listing: Architectures, parent: Request, seed: int = 0) -> Architecture:
    """An architecture of the space that differs from the parent in one choice, and in the decisions that depend on it.

    The choice is drawn uniformly among those that exist in the parent, then its new item among those that it may have
    while all others stay as they are: another item, one other input of a pick, one more or less within its bounds.
    Of a grammar, what stands below one of its menus is drawn anew, by weights, and what does not fit that any more.

    Raises:
        UsageError: the parent does not lie in the space, or no choice of it can be changed alone.
    """
    if listing.grammar is not None:
        return _another_tree(listing, listing.grammar, parent, seed)
    source = Random(seed)
    choices = found_in(listing, parent)
    nearest = Nearest(listing)
    for position, path, items in changes(listing.parts, choices, source):
        part = listing.parts[position]
        child = changed(part, choices[position], path, items, source)
        if child is None:
            continue
        child_choices = (*choices[:position], child, *choices[position + 1 :])
        notes = {"mutation": f'"{path}"', "parent": _digest(parent), "seed": str(seed)}
        made = listing.found(child_choices, notes)
        if nearest.meets(made):
            return made
        if nearest.tries == TRIES:
            break
    if nearest.tries:
        raise nearest.refusal()
    raise UsageError(f"no choice of '{parent.path}' can be changed while all others stay as they are")


def _another_tree(listing: Architectures, grammar: GrammarSpace, parent: Request, seed: int) -> Architecture:
    member(listing, parent)
    source, before = Random(seed), grammar.written(parent.compile().network)
    nearest = Nearest(listing)
    for _ in range(TRIES):
        child = grammar.mutated(before, source)
        if child is None or child.selection == before.selection:
            continue
        notes = {"parent": _digest(parent), "seed": str(seed)}
        made = DrawnArchitecture(listing, (child.selection,), notes, tree=child)
        if nearest.meets(made):
            return made
    if nearest.tries:
        raise nearest.refusal()
    raise UsageError(f"no menu of '{parent.path}' can be drawn anew: {TRIES} draws gave nothing else")


def crossover(listing: Architectures, left: Request, right: Request, seed: int = 0) -> Architecture:
    """An architecture of the space that takes each choice from one of two parents, by a fair coin.

    Where the space does not allow all that the coins say, as many items as it allows are taken, and only items of one
    of the parents; choices that neither parent has are drawn. A child that is one of its parents is given up once for
    another. Of a grammar, what stands below a menu of one parent takes the place of what stands there in the other.

    Raises:
        UsageError: a parent does not lie in the space, or no child meets its requirements.
    """
    if listing.grammar is not None:
        return _grafted_tree(listing, listing.grammar, left, right, seed)
    source = Random(seed)
    parents = [found_in(listing, parent) for parent in (left, right)]
    nearest = Nearest(listing)
    notes = {"parents": f"({_digest(left)}, {_digest(right)})", "seed": str(seed)}
    known: Architecture | None = None
    for _ in range(TRIES):
        child = tuple(
            crossed(part, a, b, source) for part, a, b in zip(listing.parts, parents[0], parents[1], strict=True)
        )
        made = listing.found(child, notes)
        if nearest.meets(made):
            if known is not None or child not in parents:
                return made
            known = made
    if known is not None:
        return known
    raise nearest.refusal()


def _grafted_tree(
    listing: Architectures, grammar: GrammarSpace, left: Request, right: Request, seed: int
) -> Architecture:
    for parent in (left, right):
        member(listing, parent)
    first, second = (grammar.written(parent.compile().network) for parent in (left, right))
    nearest = Nearest(listing)
    notes = {"parents": f"({_digest(left)}, {_digest(right)})", "seed": str(seed)}
    for child in islice(grammar.crossed(first, second, Random(seed)), TRIES):
        made = DrawnArchitecture(listing, (child.selection,), notes, tree=child)
        if nearest.meets(made):
            return made
    raise nearest.refusal()


def found_in(listing: Architectures, architecture: Request) -> Choices:
    """The decisions of a space that give an architecture.

    Raises:
        UsageError: it does not lie in the space.
    """
    wanted = member(listing, architecture)
    choices = []
    for part in listing.parts:
        found = way_of(part.circuit, wanted)
        if found is None:
            message = "its choices are those of no architecture that is counted"
            raise UsageError(f"'{architecture.path}' is not in '{listing.request.path}': {message}")
        choices.append(found)
    return tuple(choices)


def member(listing: Architectures, architecture: Request) -> Selection:
    """The decisions that a text says, of an architecture of a space.

    Raises:
        UsageError: it does not lie in the space; the message says where it leaves it.
    """
    answer = located(architecture, listing.request)
    if not answer.inside:
        raise UsageError(f"'{architecture.path}' is not in '{listing.request.path}': {answer.departure}")
    return answer.decisions


def _digest(request: Request) -> str:
    """A parent by the hash of its text."""
    return f'"{request.compile().unit.sha256[:16]}"'
