"""batch: equal-shaped sums of the same sources are one node: each source is read, and its gradient written, once."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.sums import Item, Sum, Sums

from .rebuild import rebuild


def batch(graph: SpaceGraph) -> SpaceGraph:
    """Join the sums of a cell or stage that read the same tensors and give tensors of one shape."""
    groups: dict[object, list[int]] = {}
    for index, node in graph.order():
        if isinstance(node.payload, Sum):
            groups.setdefault((node.scope, frozenset(graph.sources(index)), node.shape), []).append(index)
    joined = {member: members for members in groups.values() if len(members) > 1 for member in members}
    at = {node.name: index for index, node in graph.order()}
    moved: dict[int, int] = {}
    made: dict[int, int] = {}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        index = at[node.name]
        moved.update(zip(graph.sources(index), sources, strict=True))
        members = joined.get(index)
        if members is None:
            return None
        if members[0] not in made:
            sums = tuple(s for s in (graph.node(member).payload for member in members) if isinstance(s, Sum))
            every = tuple(moved[source] for member in members for source in graph.sources(member))
            together = replace(node, name=f"{node.name}.batch", payload=Sums(sums), line=None)
            made[members[0]] = result.add(together, every)
        return result.add(replace(node, payload=Item(members.index(index))), (made[members[0]],))

    return rebuild(graph, visit)
