"""The part of a network with grammars that is the same in every architecture, whichever trees are drawn."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.graph import Block, Call, SpaceGraph

from .space import Elaborated


def settled(space: Elaborated) -> Mapping[SpaceGraph, int]:
    """Of each graph of a network, how many of its first nodes are those of every architecture that a grammar makes.

    The others are in a tree, or may read what comes out of one; without a grammar there are none.
    """
    found: dict[SpaceGraph, int] = {}
    known: dict[tuple[SpaceGraph, bool], int] = {}

    def walk(block: Block, varied: bool) -> int:
        graph = block.graph
        if (graph, varied) not in known:
            own = 0 if varied else space.applied.get(graph, graph.size)
            for index, node in graph.order():
                if isinstance(node.payload, Call):
                    inner = walk(node.payload.block, index >= own)
                    own = min(own, index) if inner < node.payload.block.graph.size else own
            known[graph, varied] = own
            found[graph] = min(own, found.get(graph, own))
        return known[graph, varied]

    walk(space.block, False)
    return found
