"""chain: what `fold` and `absorb` do for the lines of one architecture that end in a norm, node by node.

A pool and its norm, or a pointwise convolution and its norm with the crop, the depthwise convolution and the ReLU
before it, or several of the latter that are joined before the norm, become a sum of terms, and an addition takes in the
sums that only it reads. Everything else stays an operation of its own: a drawn architecture runs once, so that looking
for more costs what it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compiler.ir.existence import gather_of
from compiler.ir.graph import Node, Payload, SpaceGraph
from compiler.ir.payloads import Mix
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Share, Sum, Term

from .fold import Folding
from .patterns import CHAINING_RULES, NORM, STRIDED_PROJECTION, is_image, role_of
from .rebuild import part_of
from .sums import Terms, inlined, take_in


def chain(node: Node, sources: tuple[int, ...], graph: SpaceGraph, may_take: Callable[[Node], bool]) -> int:
    """Add a node without a choice to a graph, as a sum where it ends a line or adds such sums up; for the kernel.

    Args:
        node: what is added.
        sources: what it reads.
        graph: what was made of the nodes before it, in this way.
        may_take: whether a sum may compute a node along: nothing else reads it.

    Returns:
        The id of the node or of the sum that has its value.
    """
    index = graph.add(node, sources)
    folding = Folding(graph, CHAINING_RULES, STRIDED_PROJECTION, may_take)

    def inner(term: Term, index: int) -> Terms | None:
        if term.norm is not None:
            return folding.projected(term, index)
        return inlined(term, index, graph) if may_take(graph.node(index)) else None

    if NORM.matches(graph, index):
        term = Term(norm=part_of(graph, index))
        found = folding.projected(term, sources[0])
        return index if found is None else take_in(node, *found, graph, inner)
    if gather_of(node.payload) is not Gather.SUM or not is_image(node):
        return index
    if not any(isinstance(graph.node(each).payload, Sum) and may_take(graph.node(each)) for each in sources):
        return index
    return take_in(node, (Term(),) * len(sources), sources, graph, inner)


def weigh(
    node: Node,
    shares: Sequence[Share],
    sources: tuple[int, ...],
    graph: SpaceGraph,
    may_take: Callable[[Node], bool],
) -> int:
    """Add a choice that was made to a graph, as the sum of its sources by their weights, where they are images.

    It takes in sums without weights; the other arguments are those of `chain`.
    """
    if not is_image(node):
        return graph.add(node, sources)

    def inner(term: Term, index: int) -> Terms | None:
        payload = graph.node(index).payload
        if (
            not may_take(graph.node(index))
            or not isinstance(payload, Sum)
            or any(each.weight for each in payload.terms)
        ):
            return None
        return inlined(term, index, graph)

    return take_in(node, tuple(Term((share,)) for share in shares), sources, graph, inner)


def is_free(graph: SpaceGraph, index: int) -> bool:
    """Whether a sum computes a node along whoever else reads it."""
    return any(rule.shared and rule.patterns[0].matches(graph, index) for rule in CHAINING_RULES)


def looks_into(payload: Payload, source: Node) -> bool:
    """Whether what becomes of a node may depend on more of a source, which only it reads, than on its shape."""
    if isinstance(source.payload, Sum):
        return isinstance(payload, Mix) or gather_of(payload) is Gather.SUM
    return role_of(source) is not None or gather_of(source.payload) is Gather.CONCATENATION
