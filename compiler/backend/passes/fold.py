"""fold: weights go into the norms before them, and norms into the pointwise convolutions before them.

A norm, or a pointwise convolution and its norm, becomes part of the sum that alone reads it: neither is ever stored.
Where no sum reads it, a convolution with its norm is a sum of that one term. For the kernel, a norm alone is one too,
and convolutions whose images are joined before the norm are terms of some channels each.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Columns, Sum, Term

from .rebuild import is_norm, is_projection, is_relu, part_of, reader_counts, rebuild
from .sums import Deeper, MayTake, inlined, take_in, taker
from .target import Target

WIDEST = 1.0
"""Up to how many input channels per output channel the covariance of the input is cheaper than the output itself.

It is what torch takes the norm of a projection by; the kernel takes it of the output.
"""


def fold(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Take norms, and pointwise convolutions with their norms, into sums."""
    may_take, for_relu = taker(graph), _only_for_a_relu(graph)
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        def inner(source: Node, term: Term, index: int) -> Deeper | None:
            if not may_take(source, node):
                return None
            if term.is_plain and is_norm(source):
                return (replace(term, norm=part_of(result, index)),), result.sources(index)
            if term == Term(term.weight, norm=term.norm):
                projected = _projected(term, index, result, target, may_take, node)
                if projected is not None:
                    return projected
            return inlined(term, index, result)

        if isinstance(node.payload, Sum):
            return take_in(node, node.payload.terms, sources, result, inner)
        if not is_norm(node) or node.name in for_relu:
            return None
        term = Term(norm=part_of(graph, at[node.name]))
        projected = None
        if may_take(result.node(sources[0]), node):
            projected = _projected(term, sources[0], result, target, may_take, node)
        if projected is None and target.machine.kernel:
            projected = (term,), sources
        return None if projected is None else result.add(replace(node, payload=Sum(projected[0])), projected[1])

    return rebuild(graph, visit)


def _projected(
    term: Term, index: int, result: SpaceGraph, target: Target, may_take: MayTake, reader: Node
) -> Deeper | None:
    """What becomes of a term of a norm or nothing that reads a projection, or several whose images are joined."""
    source, below = result.node(index), result.sources(index)
    if is_projection(source, target):
        if not (target.machine.kernel or pays(source, result.node(below[0]))):
            return None
        return (replace(term, projection=part_of(result, index)),), below
    gather = source.payload.op.gather if isinstance(source.payload, Prim) else None
    is_joined = gather is Gather.CONCATENATION and target.machine.kernel
    nodes = [result.node(each) for each in below]
    if not is_joined or not all(is_projection(node, target) and may_take(node, reader) for node in nodes):
        return None
    terms, first = [], 0
    for each, node in zip(below, nodes, strict=True):
        columns = Columns(first, node.shape.largest[0], source.shape.largest[0])
        terms.append(replace(term, projection=part_of(result, each), columns=columns))
        first += columns.count
    return tuple(terms), tuple(result.sources(each)[0] for each in below)


def _only_for_a_relu(graph: SpaceGraph) -> set[str]:
    """The nodes that one ReLU reads and nothing else: what filters that may compute them on the way (`absorb`)."""
    counts = reader_counts(graph)
    return {
        node.name
        for index, node in graph.order()
        if counts[index] == 1
        and any(is_relu(graph.node(reader)) and counts[reader] == 1 for reader in graph.readers(index))
    }


def pays(projection: Node, source: Node) -> bool:
    """Whether the covariance of what a projection reads costs less than its output."""
    return source.shape.largest[0] <= WIDEST * projection.shape.largest[0]
