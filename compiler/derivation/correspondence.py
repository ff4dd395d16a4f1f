"""The corresponding nodes of two networks of one structure, whose names, and maybe widths, differ."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.decision import Selection
from compiler.ir.existence import gather_of
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.util.errors import UsageError


def corresponding(left: SpaceGraph, right: SpaceGraph, chosen: Selection) -> Iterator[tuple[int, int]]:
    """The pairs of primitives of two flat graphs, from their outputs back, also from auxiliary ones.

    The left one may have choices, of which ``chosen`` are the decisions: its nodes keep the names that they have there.
    Sums of sums are one sum, since a text writes them so.

    Raises:
        UsageError: they have another structure.
    """
    pending, seen = list(zip(left.outputs, right.outputs, strict=False)), set()
    while pending:
        here = pending.pop()
        ends = _terms(left, here[0], chosen), _terms(right, here[1], {})
        if len(ends[0]) != len(ends[1]):
            raise _different(left, right, here)
        for pair in zip(*ends, strict=True):
            if pair in seen:
                continue
            seen.add(pair)
            sources = [source for source in left.sources(pair[0]) if _terms(left, source, chosen)]
            if len(sources) != len(right.sources(pair[1])) or not _alike(left, right, pair):
                raise _different(left, right, pair)
            pending += zip(sources, right.sources(pair[1]), strict=True)
            if isinstance(right.node(pair[1]).payload, Prim):
                yield pair


def _terms(graph: SpaceGraph, index: int, chosen: Selection) -> list[int]:
    """The nodes whose sum a node is once decisions are made; none where it does not exist."""
    sources = graph.sources(index)
    match graph.node(index).payload:
        case Weigh(decision=path, index=position):
            return _terms(graph, sources[0], chosen) if position in chosen[path] else []
        case Mix(decisions=paths, rows=rows):
            taken = tuple(chosen[path][0] for path in paths)
            (source,) = (source for source, row in zip(sources, rows, strict=True) if taken in row)
            return _terms(graph, source, chosen)
        case payload if gather_of(payload) is Gather.SUM:
            return [term for source in sources for term in _terms(graph, source, chosen)]
    return [index]


def _alike(left: SpaceGraph, right: SpaceGraph, pair: tuple[int, int]) -> bool:
    """Whether two nodes do the same."""
    match left.node(pair[0]).payload, right.node(pair[1]).payload:
        case Prim(op=one), Prim(op=other):
            return type(one) is type(other) and one.name == other.name
        case Input(), Input():
            return True
    return False


def _different(left: SpaceGraph, right: SpaceGraph, pair: tuple[int, int]) -> UsageError:
    names = left.node(pair[0]).name, right.node(pair[1]).name
    return UsageError(f"the networks have another structure: '{names[0]}' of the one is not '{names[1]}' of the other")
