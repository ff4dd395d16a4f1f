"""flatten: inline every operation, cell and stage, so that only primitives and choices are left."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Block, Call, Input, SpaceGraph


def flatten(graph: SpaceGraph) -> SpaceGraph:
    """The flat graph: names are full paths, and each node knows the cells and stages around it."""
    flat = SpaceGraph()
    feeds = {}
    for index in graph.inputs:
        feeds[index] = flat.add(graph.node(index))
    moved = _inline(graph, flat, "", (), feeds)
    flat.output = None if graph.output is None else moved[graph.output]
    flat.aux = None if graph.aux is None else moved[graph.aux]
    return flat


def _inline(
    graph: SpaceGraph, flat: SpaceGraph, prefix: str, scope: tuple[str, ...], feeds: dict[int, int]
) -> dict[int, int]:
    """Copy the nodes of ``graph`` below ``prefix``; ``feeds`` says what its inputs are. Returns where each went."""
    moved = dict(feeds)
    for index, node in graph.order():
        if isinstance(node.payload, Input):
            continue
        name = f"{prefix}{node.name}"
        sources = tuple(moved[source] for source in graph.sources(index))
        if not isinstance(node.payload, Call):
            moved[index] = flat.add(replace(node, name=name, scope=scope), sources)
            continue
        moved[index] = _call(node.payload.block, name, node.line is not None, flat, scope, sources)
    return moved


def _call(
    block: Block, name: str, is_line: bool, flat: SpaceGraph, scope: tuple[str, ...], sources: tuple[int, ...]
) -> int:
    """Inline an instance. An operation that only stands for another adds nothing to the name."""
    graph = block.graph
    assert graph.output is not None
    if block.level == "op" and len(graph) == len(graph.inputs) + 1:
        index, node = next((i, n) for i, n in graph.order() if not isinstance(n.payload, Input))
        feeds = dict(zip(graph.inputs, sources, strict=True))
        inner = tuple(feeds[source] for source in graph.sources(index))
        if index == graph.output and isinstance(node.payload, Call):
            return _call(node.payload.block, name, is_line, flat, scope, inner)
        if index == graph.output and not is_line:
            return flat.add(replace(node, name=name, scope=scope), inner)
    inside = scope if block.level == "op" else (*scope, name)
    return _inline(graph, flat, f"{name}.", inside, dict(zip(graph.inputs, sources, strict=True)))[graph.output]
