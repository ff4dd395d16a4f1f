"""fold: weights go into the norms before them, and norms into the pointwise convolutions before them.

A norm, or a pointwise convolution and its norm, becomes part of the sum that alone reads it: neither is ever stored.
Where no sum reads it, a convolution with its norm is a sum of that one term.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Node, SpaceGraph, Sum, Term
from .rewrite import is_norm, is_projection, is_relu, part_of, reader_counts, rebuild
from .sums import Deeper, inlined, take_in, taker

WIDEST = 1.0
"""Up to how many input channels per output channel the covariance of the input is cheaper than the output itself."""


def fold(graph: SpaceGraph) -> SpaceGraph:
    """Take norms, and pointwise convolutions with their norms, into sums."""
    may_take, for_relu = taker(graph), _only_for_a_relu(graph)
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        def inner(source: Node, term: Term, index: int) -> Deeper | None:
            if not may_take(source, node):
                return None
            if term.is_plain and is_norm(source):
                return (replace(term, norm=part_of(result, index)),), result.sources(index)
            below = result.sources(index)
            if (
                term == Term(term.weight, norm=term.norm)
                and is_projection(source)
                and pays(source, result.node(below[0]))
            ):
                return (replace(term, projection=part_of(result, index)),), below
            return inlined(term, index, result)

        if isinstance(node.payload, Sum):
            return take_in(node, node.payload.terms, sources, result, inner)
        source = result.node(sources[0]) if sources else node
        if is_norm(node) and is_projection(source) and may_take(source, node) and node.name not in for_relu:
            before = result.node(result.sources(sources[0])[0])
            if pays(source, before):
                term = Term(projection=part_of(result, sources[0]), norm=part_of(graph, at[node.name]))
                return result.add(replace(node, payload=Sum((term,))), result.sources(sources[0]))
        return None

    return rebuild(graph, visit)


def _only_for_a_relu(graph: SpaceGraph) -> set[str]:
    """The nodes that one ReLU reads and nothing else: what filters that may compute them on the way (`absorb`)."""
    readers: dict[int, list[int]] = {}
    for index, _ in graph.order():
        for source in graph.sources(index):
            readers.setdefault(source, []).append(index)
    counts = reader_counts(graph)
    return {
        graph.node(source).name
        for source, found in readers.items()
        if counts[source] == 1 and is_relu(graph.node(found[0])) and counts[found[0]] == 1
    }


def pays(projection: Node, source: Node) -> bool:
    """Whether the covariance of what a projection reads costs less than its output."""
    return source.shape.largest[0] <= WIDEST * projection.shape.largest[0]
