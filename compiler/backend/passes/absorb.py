"""absorb: a pointwise convolution takes in the depthwise one before it, and both take in the norm and ReLU before.

For the kernel, pools are filters too. The filtered image is the only thing that is ever stored of the four. A ReLU that
others read too is computed by each of them on the way: that costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.sums import Part, Sum, Term

from .patterns import DEPTHWISE, POOL, Pattern, absorbing_rules, projection
from .rebuild import part_of, rebuild
from .sums import Terms, extended, take_in, taker
from .target import Target


def absorb(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Take what stands before pointwise and depthwise convolutions into the sums that they are terms of."""
    # Projections first, so that a filter is still there to be taken in; then the filters that are left.
    graph = _absorb(graph, target, projection(target), lambda term, part: replace(term, projection=part))
    for filter_ in (DEPTHWISE, POOL) if target.machine.kernel else (DEPTHWISE,):
        graph = _absorb(graph, target, filter_, lambda term, part: replace(term, filter=part))
    return graph


def _absorb(graph: SpaceGraph, target: Target, becomes_sum: Pattern, start: Callable[[Term, Part], Term]) -> SpaceGraph:
    """Let sums take in what their terms read; a node of a pattern becomes a sum of one term."""
    may_take, rules = taker(graph), absorbing_rules(target)
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        if isinstance(node.payload, Sum):
            terms = node.payload.terms
        elif becomes_sum.matches(graph, at[node.name]):
            terms = (start(Term(), part_of(graph, at[node.name])),)
        else:
            return None

        def inner(term: Term, index: int) -> Terms | None:
            return extended(term, index, rules, result, lambda source: may_take(source, node))

        return take_in(node, terms, sources, result, inner)

    return rebuild(graph, visit)
