"""fold: weights go into the norms before them, and norms into the pointwise convolutions before them.

A norm, or a pointwise convolution and its norm, becomes part of the sum that alone reads it: neither is ever stored.
Where no sum reads it, a convolution with its norm is a sum of that one term. For the kernel, a norm alone is one too,
and convolutions whose images are joined before the norm are terms of some channels each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from compiler.ir.existence import gather_of
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Columns, Sum, Term

from .patterns import NORM, RELU, Pattern, Rule, folding_rules, only_a_norm, projection
from .rebuild import part_of, reader_counts, rebuild
from .sums import Terms, extended, inlined, take_in, taker
from .target import Target


def fold(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Take norms, and pointwise convolutions with their norms, into sums."""
    may_take, for_relu, rules = taker(graph), _only_for_a_relu(graph), folding_rules(target)
    joins = projection(target) if target.machine.kernel else None
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        is_sum = isinstance(node.payload, Sum)
        if not is_sum and (node.name in for_relu or not NORM.matches(graph, at[node.name])):
            return None
        folding = Folding(result, rules, joins, lambda source: may_take(source, node))
        if isinstance(node.payload, Sum):
            return take_in(node, node.payload.terms, sources, result, folding.deeper)
        term = Term(norm=part_of(graph, at[node.name]))
        projected = folding.projected(term, sources[0])
        if projected is None and target.machine.kernel:
            projected = (term,), sources
        return None if projected is None else result.add(replace(node, payload=Sum(projected[0])), projected[1])

    return rebuild(graph, visit)


@dataclass(frozen=True)
class Folding:
    """The rules by which the terms of one node of a new graph take in others.

    ``joins`` are the projections whose joined images become terms of some channels each, None for none; ``may_take``
    says whether the node may compute another along.
    """

    graph: SpaceGraph
    rules: tuple[Rule, ...]
    joins: Pattern | None
    may_take: Callable[[Node], bool]

    def deeper(self, term: Term, index: int) -> Terms | None:
        """The terms in place of one that reads a node; None where the node is not taken in."""
        if not self.may_take(self.graph.node(index)):
            return None
        return self.projected(term, index) or inlined(term, index, self.graph)

    def projected(self, term: Term, index: int) -> Terms | None:
        """The terms in place of one that reads a norm or a projection, or several whose images are joined."""
        return extended(term, index, self.rules, self.graph, self.may_take) or self.joined(term, index)

    def joined(self, term: Term, index: int) -> Terms | None:
        """The terms in place of one that reads the joined images of projections, by a norm or itself: one for each."""
        joins, source, below = self.joins, self.graph.node(index), self.graph.sources(index)
        if joins is None or gather_of(source.payload) is not Gather.CONCATENATION or not self.may_take(source):
            return None
        if not only_a_norm(term) or not all(
            joins.matches(self.graph, each) and self.may_take(self.graph.node(each)) for each in below
        ):
            return None
        terms, first = [], 0
        for each in below:
            columns = Columns(first, self.graph.node(each).shape.largest[0], source.shape.largest[0])
            terms.append(replace(term, projection=part_of(self.graph, each), columns=columns))
            first += columns.count
        return tuple(terms), tuple(self.graph.sources(each)[0] for each in below)


def _only_for_a_relu(graph: SpaceGraph) -> set[str]:
    """The nodes that one ReLU reads and nothing else: what filters that may compute them on the way (`absorb`)."""
    counts = reader_counts(graph)
    return {
        node.name
        for index, node in graph.order()
        if counts[index] == 1
        and any(RELU.matches(graph, reader) and counts[reader] == 1 for reader in graph.readers(index))
    }
