"""commute: channels are put together and shuffled once behind a sum, not in each of its terms.

A weighted sum of concatenations is the concatenation of weighted sums, and so with channels in another order. With
partial channels each edge of a node ends so: of the node, one sum over the candidates of all edges is left, of the
channels that they work on, and one of the channels that go past them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Sum, Term

from .patterns import is_image
from .rebuild import rebuild
from .sums import MayTake, inlined, taker, terms_of


def commute(graph: SpaceGraph) -> SpaceGraph:
    """Let sums whose terms are all put together or shuffled alike be what is put together or shuffled."""
    may_take = taker(graph)

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        terms = terms_of(node, len(sources))
        if terms is None or isinstance(node.payload, Weigh) or not is_image(node):
            return None
        pairs = [_unweighed(term, source, node, result, may_take) for term, source in zip(terms, sources, strict=True)]
        commuting = _Commuting(result, node, tuple(term for term, _ in pairs), may_take)
        below = tuple(source for _, source in pairs)
        return commuting.sum(node.name, below) if commuting.moves(below) else None

    return rebuild(graph, visit)


def _unweighed(term: Term, source: int, node: Node, result: SpaceGraph, may_take: MayTake) -> tuple[Term, int]:
    """A term with the weights that only it reads, and what it then reads."""
    while isinstance(result.node(source).payload, Weigh) and may_take(result.node(source), node):
        found = inlined(term, source, result)
        assert found is not None, "a plain term takes in a weight"
        ((term,), (source,)) = found
    return term, source


@dataclass(frozen=True)
class _Commuting:
    """A sum of plain terms that becomes several."""

    result: SpaceGraph
    node: Node
    terms: tuple[Term, ...]
    may_take: MayTake

    def moves(self, sources: tuple[int, ...]) -> bool:
        """Whether what the terms read are equal concatenations or orders of channels, which nothing else reads."""
        nodes = [self.result.node(source) for source in sources]
        if len(nodes) < 2 or not all(node.payload == nodes[0].payload for node in nodes):
            return False
        payload = nodes[0].payload
        if not isinstance(payload, Prim) or not all(self.may_take(node, self.node) for node in nodes):
            return False
        is_moving = payload.op.permutes_channels or payload.op.gather is Gather.CONCATENATION
        shapes = {tuple(self.result.node(each).shape for each in self.result.sources(source)) for source in sources}
        return is_moving and len(shapes) == 1

    def sum(self, name: str, sources: tuple[int, ...]) -> int:
        """Add the weighted sum of some nodes."""
        first, line = self.result.node(sources[0]), self.node.line if name == self.node.name else None
        made = replace(self.node, name=name, shape=first.shape, line=line)
        if not self.moves(sources):
            return self.result.add(replace(made, payload=Sum(self.terms)), sources)
        deeper = zip(*map(self.result.sources, sources), strict=True)
        parts = tuple(self.sum(f"{name}.commuted{number}", each) for number, each in enumerate(deeper))
        return self.result.add(replace(made, payload=first.payload), parts)
