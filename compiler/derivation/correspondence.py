"""The corresponding nodes of two networks of one structure, whose names, and maybe widths, differ."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.existence import gather_of
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.base import Gather
from compiler.util.errors import UsageError


def corresponding(left: SpaceGraph, right: SpaceGraph) -> Iterator[tuple[int, int]]:
    """The pairs of primitives of two flat graphs without choices, from their outputs back, also from auxiliary ones.

    Sums of sums are one sum, since a text writes them so.

    Raises:
        UsageError: they have another structure.
    """
    pending, seen = list(zip(left.outputs, right.outputs, strict=False)), set()
    while pending:
        here = pending.pop()
        ends = _terms(left, here[0]), _terms(right, here[1])
        if len(ends[0]) != len(ends[1]):
            raise _different(left, right, here)
        for pair in zip(*ends, strict=True):
            if pair in seen:
                continue
            seen.add(pair)
            if not _alike(left, right, pair):
                raise _different(left, right, pair)
            pending += zip(left.sources(pair[0]), right.sources(pair[1]), strict=True)
            if isinstance(right.node(pair[1]).payload, Prim):
                yield pair


def _terms(graph: SpaceGraph, index: int) -> list[int]:
    """The nodes whose sum a node is."""
    if gather_of(graph.node(index).payload) is not Gather.SUM:
        return [index]
    return [term for source in graph.sources(index) for term in _terms(graph, source)]


def _alike(left: SpaceGraph, right: SpaceGraph, pair: tuple[int, int]) -> bool:
    """Whether two nodes do the same to as many tensors."""
    if len(left.sources(pair[0])) != len(right.sources(pair[1])):
        return False
    match left.node(pair[0]).payload, right.node(pair[1]).payload:
        case Prim(op=one), Prim(op=other):
            return type(one) is type(other) and one.name == other.name
        case Input(), Input():
            return True
    return False


def _different(left: SpaceGraph, right: SpaceGraph, pair: tuple[int, int]) -> UsageError:
    names = left.node(pair[0]).name, right.node(pair[1]).name
    return UsageError(f"the networks have another structure: '{names[0]}' of the one is not '{names[1]}' of the other")
