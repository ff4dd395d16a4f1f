"""Rebuilding a graph node by node: what most passes have in common."""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.sums import Part

Keep = Callable[[Node, tuple[int, ...], SpaceGraph], "int | None"]
"""A rewrite of one node, given its new sources and the new graph: its new id, or None for adding it unchanged."""


def rebuild(graph: SpaceGraph, visit: Keep) -> SpaceGraph:
    """Copy a graph, letting ``visit`` replace nodes; then drop what nothing needs any more but the original kept.

    Nodes that no output needed before stay: unread cells exist, and have weights (nothing is pruned by default).
    """
    result = SpaceGraph()
    moved: dict[int, int] = {}
    ends = [index for index, _ in graph.order() if not graph.readers(index) and index not in graph.outputs]
    for index, node in graph.order():
        sources = tuple(moved[source] for source in graph.sources(index))
        made = visit(node, sources, result)
        moved[index] = result.add(node, sources) if made is None else made
    result.output = None if graph.output is None else moved[graph.output]
    result.aux = None if graph.aux is None else moved[graph.aux]
    return _needed(result, {moved[index] for index in ends})


def without_dead(graph: SpaceGraph) -> SpaceGraph:
    """The graph without what no output needs; inputs stay."""
    return _needed(graph, set())


def _needed(graph: SpaceGraph, ends: set[int]) -> SpaceGraph:
    """The nodes that an output or one of ``ends`` needs, as a graph."""
    result = SpaceGraph()
    needed: set[int] = set()
    pending = [*graph.outputs, *graph.inputs, *ends]
    while pending:
        index = pending.pop()
        if index not in needed:
            needed.add(index)
            pending += graph.sources(index)
    moved: dict[int, int] = {}
    for index, node in graph.order():
        if index in needed:
            moved[index] = result.add(node, tuple(moved[source] for source in graph.sources(index)))
    result.output = None if graph.output is None else moved[graph.output]
    result.aux = None if graph.aux is None else moved[graph.aux]
    return result


def part_of(graph: SpaceGraph, index: int) -> Part:
    """The primitive of a node, as a part of another node."""
    node = graph.node(index)
    assert isinstance(node.payload, Prim)
    shapes = tuple(graph.node(source).shape for source in graph.sources(index))
    return Part(node.name, node.scope, node.payload.op, shapes, node.shape)


def reader_counts(graph: SpaceGraph) -> dict[int, int]:
    """How often each node is read, an output of the graph counting as once more."""
    counts = {index: len(graph.readers(index)) for index, _ in graph.order()}
    for index in graph.outputs:
        counts[index] += 1
    return counts
