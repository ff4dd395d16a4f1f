"""share: equal applications of operations without parameters, state or randomness are computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim

from .rebuild import rebuild


def share(graph: SpaceGraph) -> SpaceGraph:
    """Merge equal pure primitives of equal sources; the shared one moves out to where all its readers see it.

    What moves out lets what reads it follow, so this goes on until nothing merges any more.
    """
    while True:
        merged = _share_once(graph)
        if len(merged) == len(graph):
            return graph
        graph = merged


def _share_once(graph: SpaceGraph) -> SpaceGraph:
    first, scopes = equals(graph, _is_pure)
    at = {graph.node(index).name: index for index in first}
    made: dict[int, int] = {}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        index = at[node.name]
        if index not in scopes and first[index] == index:
            return None
        if first[index] not in made:
            made[first[index]] = result.add(replace(node, scope=scopes[index]), sources)
        return made[first[index]]

    return rebuild(graph, visit)


def equals(graph: SpaceGraph, may_merge: Callable[[Node], bool]) -> tuple[dict[int, int], dict[int, tuple[str, ...]]]:
    """The first of the nodes that each node equals; for the first ones, the innermost scope that holds their equals.

    A node cannot leave a scope in which one of its sources lies: what stayed there might read it, and would then both
    come before it and after it. Equal nodes that differ in this are not merged.
    """
    first: dict[int, int] = {}
    known: dict[object, int] = {}
    scopes: dict[int, tuple[str, ...]] = {}
    for index, node in graph.order():
        first[index] = index
        if not may_merge(node):
            continue
        sources = graph.sources(index)
        home = max((common(node.scope, graph.node(source).scope) for source in sources), key=len, default=())
        key = (node.payload, tuple(first[source] for source in sources), home)
        first[index] = known.setdefault(key, index)
        scopes[first[index]] = common(scopes.get(first[index], node.scope), node.scope)
    return first, scopes


def _is_pure(node: Node) -> bool:
    return isinstance(node.payload, Prim) and node.payload.op.pure


def common(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The longest common prefix of two scopes."""
    length = 0
    while length < min(len(left), len(right)) and left[length] == right[length]:
        length += 1
    return left[:length]
