"""The copies of a space, and where their instances stand among the elements of families."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from compiler.ir.graph import Block, Call, Node, SpaceGraph
from hdas_dsl.tree.words import element_of


@dataclass(eq=False)
class Survey:
    """The first block of each copy, and where its instances stand."""

    blocks: dict[str, Block] = field(default_factory=dict)
    instances: Counter[str] = field(default_factory=Counter)
    offsets: dict[str, list[tuple[int | None, ...]]] = field(default_factory=dict)
    seen: set[Block] = field(default_factory=set)

    def visit(self, block: Block) -> None:
        """Look at a block and all blocks in it."""
        if block.copy is not None:
            self.blocks.setdefault(block.copy, block)
        if block in self.seen:
            return
        self.seen.add(block)
        calls = [(i, n, n.payload.block) for i, n in block.graph.order() if isinstance(n.payload, Call)]
        for index, node, inner in calls:
            if inner.copy is not None:
                self.instances[inner.copy] += 1
                self.offsets.setdefault(inner.copy, []).append(_offsets(block.graph, index, node))
            self.visit(inner)

    def recurrence(self, block: Block) -> tuple[int, ...] | None:
        """How far back the inputs of a cell lie, where its instances are a family made of earlier elements."""
        if block.level != "cell":
            return None
        kind = block.name, len(block.graph.inputs)
        alike = [path for path, other in self.blocks.items() if (other.name, len(other.graph.inputs)) == kind]
        sites = [site for path in alike for site in self.offsets.get(path, ())]
        found: list[int] = []
        for slot in zip(*sites, strict=True):
            steps = {step for step in slot if step is not None}
            if len(steps) != 1:
                return None
            found += steps
        return tuple(found) or None


def _offsets(graph: SpaceGraph, index: int, node: Node) -> tuple[int | None, ...]:
    """For each input of an instance, how many elements of its own family back it lies."""
    here = element_of(node.line or "")
    result: list[int | None] = []
    for source in graph.sources(index):
        there = element_of(graph.node(source).line or "")
        same = here and there and here[0] == there[0] and len(here[1]) == len(there[1]) == 1
        result.append(here[1][0] - there[1][0] if same and here and there else None)
    return tuple(result)
