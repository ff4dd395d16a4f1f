"""The canonical form of a small labelled graph, and its symmetries.

Colours are refined until each vertex knows its surroundings, then ties are broken by singling out each of the tied
vertices in turn; the smallest of the forms that come out is the canonical one, and every way to it is a symmetry
(McKay and Piperno, "Practical graph isomorphism, II", 2014, without its pruning, since the graphs of cells are small).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import prod

MOST = 50_000
"""How many symmetries a graph may have."""


class TooSymmetricError(Exception):
    """A graph has more symmetries than the search visits."""


@dataclass(frozen=True)
class Vertex:
    """A vertex: its label, without the variables in it; where its sources have no order it is ``symmetric``."""

    label: int
    sources: tuple[int, ...]
    symmetric: bool = False
    variables: tuple[str, ...] = ()


Form = tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class Canonical:
    """The form of a graph, equal for isomorphic graphs only, and what each symmetry does to its variables."""

    form: Form
    symmetries: tuple[dict[str, str], ...]

    def labellings(self, sizes: dict[str, int]) -> int:
        """How many graphs there are when each variable may be so many labels, up to symmetry (Burnside's lemma)."""
        total = sum(prod(sizes[cycle] for cycle in _cycles(symmetry)) for symmetry in self.symmetries)
        return int(Fraction(total, len(self.symmetries)))


def _cycles(symmetry: dict[str, str]) -> Iterator[str]:
    """One variable of each cycle of a permutation."""
    left = set(symmetry)
    while left:
        first = name = min(left)
        yield first
        while name in left:
            left.remove(name)
            name = symmetry[name]


def canonical(vertices: list[Vertex]) -> Canonical:
    """The canonical form of a graph.

    Raises:
        TooSymmetricError: it has too many symmetries.
    """
    search = _Search(vertices)
    search.visit(search.refined([vertex.label for vertex in vertices]))
    best = min(form for form, _ in search.leaves)
    found = [order for form, order in search.leaves if form == best]
    first = found[0]
    moves = ({v: order[first.index(v)] for v in first} for order in found)
    symmetries = tuple(
        {
            name: vertices[move[index]].variables[place]
            for index, vertex in enumerate(vertices)
            for place, name in enumerate(vertex.variables)
        }
        for move in moves
    )
    return Canonical(best, symmetries)


class _Search:
    def __init__(self, vertices: list[Vertex]) -> None:
        self.vertices = vertices
        self.leaves: list[tuple[Form, list[int]]] = []
        self.readers: list[list[tuple[int, int]]] = [[] for _ in vertices]
        for index, vertex in enumerate(vertices):
            for slot, source in enumerate(vertex.sources):
                self.readers[source].append((index, 0 if vertex.symmetric else slot))

    def refined(self, colours: list[int]) -> list[int]:
        """Colours that tell vertices apart by their surroundings, however far."""
        count = len(set(colours))
        while True:
            views = []
            for index, vertex in enumerate(self.vertices):
                sources = [colours[source] for source in vertex.sources]
                readers = sorted((slot, colours[reader]) for reader, slot in self.readers[index])
                view = sorted(sources) if vertex.symmetric else sources
                views.append((colours[index], tuple(view), tuple(readers)))
            ranks = {view: rank for rank, view in enumerate(sorted(set(views)))}
            colours = [ranks[view] for view in views]
            if len(ranks) == count:
                return colours
            count = len(ranks)

    def visit(self, colours: list[int]) -> None:
        """Every way to tell all vertices apart."""
        classes: dict[int, list[int]] = {}
        for index, colour in enumerate(colours):
            classes.setdefault(colour, []).append(index)
        tied = [colour for colour in sorted(classes) if len(classes[colour]) > 1]
        if not tied:
            if len(self.leaves) == MOST:
                raise TooSymmetricError
            order = sorted(range(len(colours)), key=lambda index: colours[index])
            self.leaves.append((self.form(order), order))
            return
        members = classes[tied[0]]
        # Twins without variables may stand in any order: that changes nothing, not even a labelling.
        for index in members[:1] if self.twins(members) else members:
            # Twice the colours leave room for one of its own.
            single = [2 * colour for colour in colours]
            single[index] -= 1
            self.visit(self.refined(single))

    def twins(self, members: list[int]) -> bool:
        """Whether vertices have the same sources and the same readers, and no variables."""
        first = self.vertices[members[0]]
        return not first.variables and all(
            self.vertices[index].sources == first.sources and self.readers[index] == self.readers[members[0]]
            for index in members
        )

    def form(self, order: list[int]) -> Form:
        """The graph with its vertices in an order, variables by their first place."""
        place = {index: rank for rank, index in enumerate(order)}
        names: dict[str, int] = {}
        rows = []
        for index in order:
            vertex = self.vertices[index]
            sources = [place[source] for source in vertex.sources]
            variables = tuple(names.setdefault(name, len(names)) for name in vertex.variables)
            rows.append((vertex.label, tuple(sorted(sources) if vertex.symmetric else sources), variables))
        return tuple(rows)
