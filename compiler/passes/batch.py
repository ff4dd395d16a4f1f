"""batch: equal-shaped sums of one source are computed together, where the last of their inputs is ready."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Item, Node, SpaceGraph, Sum, Sums
from .rewrite import rebuild


def batch(graph: SpaceGraph) -> SpaceGraph:
    """Join the sums of a cell or stage that read one and the same tensor and give tensors of one shape."""
    groups: dict[object, list[int]] = {}
    for index, node in graph.order():
        sources = set(graph.sources(index))
        if isinstance(node.payload, Sum) and len(sources) == 1 and any(term.projection for term in node.payload.terms):
            groups.setdefault((node.scope, *sources, node.shape), []).append(index)
    leaders = {member: members for members in groups.values() if len(members) > 1 for member in members}
    at = {node.name: index for index, node in graph.order()}
    joint: dict[int, int] = {}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        members = leaders.get(at[node.name])
        if members is None:
            return None
        first = members[0]
        if first not in joint:
            sums = tuple(s for s in (graph.node(member).payload for member in members) if isinstance(s, Sum))
            source = sources[:1]
            made = replace(node, name=f"{node.name}.batch", payload=Sums(sums), line=None)
            joint[first] = result.add(made, source)
        return result.add(replace(node, payload=Item(members.index(at[node.name]))), (joint[first],))

    return rebuild(graph, visit)
