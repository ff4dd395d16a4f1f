"""share: equal applications of operations without parameters, state or randomness are computed once."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Node, Prim, SpaceGraph
from ..primitives import PRIMITIVES
from .rewrite import rebuild


def share(graph: SpaceGraph) -> SpaceGraph:
    """Merge equal pure primitives of equal sources; the shared one moves out to where all its readers see it."""
    scopes = _common_scopes(graph)
    made: dict[object, int] = {}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        if not _is_pure(node):
            return None
        key = (node.payload, sources)
        if key not in made:
            made[key] = result.add(replace(node, scope=scopes.get(node.name, node.scope)), sources)
        return made[key]

    return rebuild(graph, visit)


def _is_pure(node: Node) -> bool:
    payload = node.payload
    return isinstance(payload, Prim) and payload.name in PRIMITIVES and PRIMITIVES[payload.name].pure


def _common_scopes(graph: SpaceGraph) -> dict[str, tuple[str, ...]]:
    """For the first of each set of equal nodes, the innermost scope that holds them all."""
    merged: dict[int, int] = {}
    first: dict[object, int] = {}
    scopes: dict[int, tuple[str, ...]] = {}
    for index, node in graph.order():
        merged[index] = index
        if not _is_pure(node):
            continue
        key = (node.payload, tuple(merged[source] for source in graph.sources(index)))
        merged[index] = first.setdefault(key, index)
        scopes[merged[index]] = common(scopes.get(merged[index], node.scope), node.scope)
    return {graph.node(index).name: scope for index, scope in scopes.items()}


def common(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The longest common prefix of two scopes."""
    length = 0
    while length < min(len(left), len(right)) and left[length] == right[length]:
        length += 1
    return left[:length]
