"""absorb: a pointwise convolution takes in the depthwise one before it, and both take in the norm and ReLU before.

The filtered image is the only thing that is ever stored of the four. A ReLU that others read too is computed by each of
them on the way: that costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.primitives.roles import Pointwise
from compiler.ir.sums import Sum, Term

from .rebuild import is_convolution, is_crop, is_filter, is_norm, is_pool, is_projection, is_relu, part_of, rebuild
from .sums import Deeper, take_in, taker
from .target import Target


def absorb(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Take what stands before pointwise and depthwise convolutions into the sums that they are terms of."""
    # Projections first, so that a filter is still there to be taken in; then the filters that are left.
    return _absorb(_absorb(graph, target, lambda node, _: is_projection(node, target)), target, is_filter)


def _absorb(graph: SpaceGraph, target: Target, becomes_sum: Callable[[Node, Node], bool]) -> SpaceGraph:
    may_take = taker(graph)
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        def inner(source: Node, term: Term, index: int) -> Deeper | None:
            if term.relu or term.before is not None:
                return None
            below = result.sources(index)
            reads_relu = term.projection is not None or (term.filter is not None and is_convolution(term.filter))
            if reads_relu and is_relu(source):
                norm = result.node(below[0])
                if is_norm(norm) and may_take(source, node) and may_take(norm, node):
                    taken = replace(term, before=part_of(result, below[0]), relu=True)
                    return (taken,), result.sources(below[0])
                return (replace(term, relu=True),), below
            if term.filter is not None or not below:
                return None
            if target.machine.kernel and term.projection is not None and is_crop(source):
                return (replace(term, filter=part_of(result, index)),), below  # a view, whoever else reads it
            if not may_take(source, node):
                return None
            is_filtered = is_filter(source, result.node(below[0])) and _is_dense(term)
            is_pooled = target.machine.kernel and term.norm is not None and is_pool(source)
            if is_filtered or (is_pooled and term.projection is None):
                return (replace(term, filter=part_of(result, index)),), below
            return None

        if isinstance(node.payload, Sum):
            return take_in(node, node.payload.terms, sources, result, inner)
        if sources and becomes_sum(node, result.node(sources[0])):
            part = part_of(graph, at[node.name])
            term = Term(projection=part) if is_projection(node, target) else Term(filter=part)
            return take_in(node, (term,), sources, result, inner)
        return None

    return rebuild(graph, visit)


def _is_dense(term: Term) -> bool:
    """Whether a term has a projection, and that reads every pixel."""
    return term.projection is not None and term.projection.op.role == Pointwise(stride=1)
