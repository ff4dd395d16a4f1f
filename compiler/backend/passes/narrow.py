"""narrow: a graph without the items that a search has given up. It is not a pass of `PASSES`: no text says which live.

A mix keeps the rows whose items all live, and a menu without any is a zero tensor, which sums leave out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.structure import Zero

from .drop_none import drop_none
from .rebuild import rebuild


def narrow(graph: SpaceGraph, live: Mapping[str, Collection[int]]) -> SpaceGraph:
    """The graph without items that are given up; equal where mixing weights are 0 for these.

    Args:
        graph: a flat graph.
        live: the items that live, by the path of their decision; all of those that are not mentioned do.
    """

    def lives(path: str, item: int) -> bool:
        return path not in live or item in live[path]

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        match node.payload:
            case Mix(decisions=paths, rows=rows):
                left = [tuple(row for row in alternatives if all(map(lives, paths, row))) for alternatives in rows]
                kept = [(source, some) for source, some in zip(sources, left, strict=True) if some]
                if kept:
                    mix = Mix(paths, tuple(some for _, some in kept))
                    return result.add(replace(node, payload=mix), tuple(source for source, _ in kept))
            case Weigh(decision=path, index=item) if lives(path, item):
                return None
            case Weigh():
                pass
            case _:
                return None
        zero = Prim(Zero(c=node.shape.c))
        return result.add(replace(node, payload=zero), sources[:1])

    return drop_none(rebuild(graph, visit))
