"""The structural difference of two files, by choice path.

Two trees are the same when they agree in all but layout, comments, `provenance`, the order of definitions and lines,
the order of a sum's terms and of named arguments, and the spelling of a name (`n2`, `n[2]`) or number (`4K`, `4000`).
`canonical.key` is that notion of sameness, one canonical text per expression; the rest only finds the smallest place in
which two keys differ. A comparison that finds no smaller place reports the whole, so no difference goes unreported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from hdas_dsl.tree.ast import Equivalence, Line, Method, Module, Search, Train

from . import render
from .definitions import definitions, uses
from .edges import edges_of
from .model import Change, Kind
from .pairing import by_name
from .sections import named, sections

L = TypeVar("L", bound=Line)


@dataclass(frozen=True, repr=False)
class Diff:
    """The changes in the order of the left file, then those of definitions that only the right file has.

    ``agreeing`` of the ``edges`` of both files together are the same.
    """

    changes: tuple[Change, ...]
    agreeing: int = 0
    edges: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.changes

    @property
    def similarity(self) -> float:
        """The share of edges that agree, 1 where there are none."""
        return self.agreeing / self.edges if self.edges else 1.0

    def summary(self) -> str:
        """One line: how much differs, and how many edges agree."""
        return render.summary(self.changes, self.agreeing, self.edges)

    def render(self, colour: bool = False) -> str:
        """The changes grouped by copy, with the summary in the last line; ``colour`` adds the codes of a terminal."""
        return render.to_text(self.changes, self.summary(), colour)

    def __repr__(self) -> str:
        return f"Diff({self.summary()})"

    def _repr_html_(self) -> str:
        return render.to_html(self.changes, self.summary())

    def to_json(self) -> str:
        """One JSON object on one line."""
        return render.to_json(self.changes, self.agreeing, self.edges)


def diff(left: Module, right: Module) -> Diff:
    """All differences of two files."""
    ours, theirs = edges_of(left), edges_of(right)
    places = Counter({place: len(edges) for place, edges in ours.items()})
    places |= Counter({place: len(edges) for place, edges in theirs.items()})
    agreeing = sum((Counter(ours.get(place, ())) & Counter(theirs.get(place, ()))).total() for place in places)
    return Diff(tuple(_changes(left, right)), agreeing, places.total())


def _changes(left: Module, right: Module) -> Iterator[Change]:
    if left.version != right.version:
        yield Change("hsp", Kind.VERSION, str(left.version), str(right.version), copy="hsp")
    yield from uses(left.uses, right.uses)
    for name, ours, theirs in by_name(left.definitions, right.definitions, lambda definition: definition.title):
        yield from _within(name, definitions(ours, theirs, name))
    kinds: tuple[type[Search | Train], ...] = (Search, Train)
    for kind in kinds:
        for name, mine, their in by_name(_all(left, kind), _all(right, kind), lambda line: type(line).__name__.lower()):
            yield from _within(name, sections(mine, their, name))
    for name, one, other in by_name(_all(left, Method), _all(right, Method), lambda line: f"method {line.name}"):
        yield from _within(name, named(one, other, name))
    alike = _all(left, Equivalence), _all(right, Equivalence)
    for name, ours_, theirs_ in by_name(alike[0], alike[1], lambda line: f"equivalence {line.name}"):
        yield from _within(name, named(ours_, theirs_, name))


def _all(module: Module, kind: type[L]) -> list[L]:
    return [line for line in module.lines if isinstance(line, kind)]


def _within(copy: str, changes: Iterable[Change]) -> Iterator[Change]:
    return (replace(change, copy=copy) for change in changes)
