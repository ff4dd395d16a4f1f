"""tie: batch norms without parameters of one source are computed once; the running statistics of each follow.

They see the same batches, so their running statistics are equal as well, and one of them can speak for all when a
network is judged. (Statistics of elsewhere that differ between such norms are what this pass would not keep.)
"""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.primitives.roles import BatchNormalisation
from compiler.ir.sums import Sum, Term

from .rebuild import part_of, rebuild
from .share import equals


def tie(graph: SpaceGraph) -> SpaceGraph:
    """Merge equal norms; the merged one moves out to where all its readers see it."""
    first, scopes = equals(graph, is_plain_norm)
    groups: dict[int, list[int]] = {}
    for index, leader in first.items():
        groups.setdefault(leader, []).append(index)
    at = {graph.node(index).name: index for index in first}
    made: dict[int, int] = {}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        index = at[node.name]
        leader = first[index]
        if len(groups[leader]) == 1:
            return None
        if leader not in made:
            norm, *tied = (part_of(graph, member) for member in groups[leader])
            payload = Sum((Term(norm=norm, tied=tuple(tied)),))
            made[leader] = result.add(replace(node, payload=payload, scope=scopes[leader]), sources)
        return made[leader]

    return rebuild(graph, visit)


def is_plain_norm(node: Node) -> bool:
    """Whether a node is a batch norm of images without parameters."""
    return (
        len(node.shape.dims) == 3
        and isinstance(node.payload, Prim)
        and node.payload.op.role == BatchNormalisation(affine=False)
    )
