"""accumulate: a sum of mixes is one sum, each term with the product of its weights; no partial sum is stored."""

from __future__ import annotations

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Weigh
from compiler.ir.sums import Term

from .patterns import is_image
from .rebuild import rebuild
from .sums import Terms, inlined, take_in, taker, terms_of


def accumulate(graph: SpaceGraph) -> SpaceGraph:
    """Turn mixes and additions of images into sums, and take in what only they read: sums and weights."""
    may_take = taker(graph)

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        terms = terms_of(node, len(sources))
        if terms is None or isinstance(node.payload, Weigh) or not is_image(node):
            return None

        def inner(term: Term, index: int) -> Terms | None:
            return inlined(term, index, result) if may_take(result.node(index), node) else None

        return take_in(node, terms, sources, result, inner)

    return rebuild(graph, visit)
