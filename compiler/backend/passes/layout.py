"""layout: images are channels-last in memory from the first node on; operations hand that on."""

from __future__ import annotations

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.structure import ChannelsLast

from .patterns import is_image
from .rebuild import rebuild


def layout(graph: SpaceGraph) -> SpaceGraph:
    """Let all readers of an input image read it channels-last."""
    inputs: dict[int, int] = {}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        moved = []
        for source in sources:
            below = result.node(source)
            if isinstance(below.payload, Input) and is_image(below):
                if source not in inputs:
                    made = Node(f"{below.name}.channels_last", Prim(ChannelsLast()), below.shape)
                    inputs[source] = result.add(made, (source,))
                source = inputs[source]
            moved.append(source)
        return result.add(node, tuple(moved)) if tuple(moved) != sources else None

    return rebuild(graph, visit)
