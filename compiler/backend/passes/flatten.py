"""flatten: inline every operation, cell and stage, so that only primitives and choices are left."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Input


def flatten(graph: SpaceGraph) -> SpaceGraph:
    """The flat graph: names are full paths, and each node knows the cells and stages around it."""
    inliner = _Inliner()
    feeds = {index: inliner.flat.add(graph.node(index)) for index in graph.inputs}
    inliner.names.update(graph.node(index).name for index in graph.inputs)
    moved = inliner.inline(graph, "", (), feeds)
    inliner.flat.output = None if graph.output is None else moved[graph.output]
    inliner.flat.aux = None if graph.aux is None else moved[graph.aux]
    return inliner.flat


class _Inliner:
    """``names`` are those taken: what an operation holds may be called like something beside it."""

    def __init__(self) -> None:
        self.flat = SpaceGraph()
        self.names: set[str] = set()

    def unique(self, name: str) -> str:
        number, found = 1, name
        while found in self.names:
            number += 1
            found = f"{name}_{number}"
        self.names.add(found)
        return found

    def add(self, node: Node, name: str, scope: tuple[str, ...], sources: tuple[int, ...]) -> int:
        return self.flat.add(replace(node, name=self.unique(name), scope=scope), sources)

    def inline(self, graph: SpaceGraph, prefix: str, scope: tuple[str, ...], feeds: dict[int, int]) -> dict[int, int]:
        """Copy the nodes of ``graph`` below ``prefix``; ``feeds`` says what its inputs are. Returns where each went."""
        moved = dict(feeds)
        for index, node in graph.order():
            if isinstance(node.payload, Input):
                continue
            name = f"{prefix}{node.name}"
            sources = tuple(moved[source] for source in graph.sources(index))
            if isinstance(node.payload, Call):
                moved[index] = self.call(node.payload.block, name, node.line is not None, scope, sources)
            else:
                moved[index] = self.add(node, name, scope, sources)
        return moved

    def call(self, block: Block, name: str, is_line: bool, scope: tuple[str, ...], sources: tuple[int, ...]) -> int:
        """Inline an instance. An operation that only stands for another adds nothing to the name."""
        graph = block.graph
        assert graph.output is not None
        if block.is_operation and len(graph) == len(graph.inputs) + 1:
            index, node = next((i, n) for i, n in graph.order() if not isinstance(n.payload, Input))
            feeds = dict(zip(graph.inputs, sources, strict=True))
            inner = tuple(feeds[source] for source in graph.sources(index))
            if index == graph.output and isinstance(node.payload, Call):
                return self.call(node.payload.block, name, is_line, scope, inner)
            if index == graph.output and not is_line:
                return self.add(node, name, scope, inner)
        if not block.is_operation:
            name = self.unique(name)
            scope = (*scope, name)
        return self.inline(graph, f"{name}.", scope, dict(zip(graph.inputs, sources, strict=True)))[graph.output]
