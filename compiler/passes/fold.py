"""fold: weights go into the norms before them, and norms into the pointwise convolutions before them.

A norm, or a pointwise convolution and its norm, becomes part of the sum that alone reads it: neither is ever stored.
Where no sum reads it, a convolution with its norm is a sum of that one term.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Node, SpaceGraph, Sum, Term
from .rewrite import is_norm, is_projection, part_of, rebuild
from .sums import Deeper, inlined, take_in, taker

WIDEST = 2.0
"""Up to how many input channels per output channel the covariance of the input is cheaper than the output itself."""


def fold(graph: SpaceGraph) -> SpaceGraph:
    """Take norms, and pointwise convolutions with their norms, into sums."""
    may_take = taker(graph)

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        def inner(source: Node, term: Term, index: int) -> Deeper | None:
            if not may_take(source, node):
                return None
            if term.is_plain and is_norm(source):
                return (replace(term, norm=part_of(result, index)),), result.sources(index)
            below = result.sources(index)
            if term == Term(term.weight, norm=term.norm) and is_projection(source) and pays(source, result.node(below[0])):
                return (replace(term, projection=part_of(result, index)),), below
            return inlined(term, index, result)

        if isinstance(node.payload, Sum):
            return take_in(node, node.payload.terms, sources, result, inner)
        source = result.node(sources[0]) if sources else node
        if is_norm(node) and is_projection(source) and may_take(source, node):
            before = result.node(result.sources(sources[0])[0])
            if pays(source, before):
                term = Term(projection=part_of(result, sources[0]), norm=part_of(graph, at[node.name]))
                return result.add(replace(node, payload=Sum((term,))), result.sources(sources[0]))
        return None

    at = {node.name: index for index, node in graph.order()}
    return rebuild(graph, visit)


def pays(projection: Node, source: Node) -> bool:
    """Whether the covariance of what a projection reads costs less than its output."""
    return source.shape.largest[0] <= WIDEST * projection.shape.largest[0]
