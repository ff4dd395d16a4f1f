"""chain: what `fold` and `absorb` do for the lines of one architecture that end in a norm, in one walk over the graph.

A pool and its norm, or a pointwise convolution and its norm with the crop, the depthwise convolution and the ReLU
before it, or several of the latter that are joined before the norm, become a sum of terms, and an addition takes in the
sums that only it reads. Everything else stays an operation of its own: a drawn architecture runs once, so that looking
for more costs what it saves.
"""

from __future__ import annotations

from compiler.ir.existence import gather_of
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Sum, Term

from .fold import Folding
from .patterns import CHAINING_RULES, NORM, STRIDED_PROJECTION, is_image
from .rebuild import part_of, rebuild
from .sums import Terms, inlined, take_in, taker


def chain(graph: SpaceGraph) -> SpaceGraph:
    """Turn lines that end in a norm into sums, and additions of them; for the kernel, on graphs without choices."""
    may_take = taker(graph)
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        folding = Folding(result, CHAINING_RULES, STRIDED_PROJECTION, lambda source: may_take(source, node))

        def inner(term: Term, index: int) -> Terms | None:
            if term.norm is not None:
                return folding.projected(term, index)
            return inlined(term, index, result) if may_take(result.node(index), node) else None

        if NORM.matches(graph, at[node.name]):
            term = Term(norm=part_of(graph, at[node.name]))
            found = folding.projected(term, sources[0])
            return None if found is None else take_in(node, *found, result, inner)
        if gather_of(node.payload) is not Gather.SUM or not is_image(node):
            return None
        if not any(isinstance((each := result.node(i)).payload, Sum) and may_take(each, node) for i in sources):
            return None
        return take_in(node, (Term(),) * len(sources), sources, result, inner)

    return rebuild(graph, visit)
