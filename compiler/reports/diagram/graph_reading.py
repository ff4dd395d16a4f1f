"""The parts of a graph that a picture shows: the nodes that get spots, and the origin of each."""

from __future__ import annotations

from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Input, Mix


class GraphReading:
    """The graph of a text. ``hidden`` are nodes that the arrow of a menu stands for."""

    def __init__(self, graph: SpaceGraph) -> None:
        self.graph = graph
        self.made_of: dict[int, int | None] = {}
        self.hidden: set[int] = set()
        self.hidden = self.inside_menus()

    def is_drawn(self, index: int) -> bool:
        """Whether a node gets a spot."""
        node = self.graph.node(index)
        if index in self.graph.outputs or node.line is not None:
            return True
        return isinstance(node.payload, Input) or (is_instance(node) and index not in self.hidden)

    def inside_menus(self) -> set[int]:
        """The nodes between a menu and the one tensor that it is applied to: the arrow stands for all of them."""
        self.hidden = {index for index, node in self.graph.order() if is_instance(node)}
        found: set[int] = set()
        for index, node in self.graph.order():
            if isinstance(node.payload, Mix) and (start := self.source(index)) is not None:
                pending = list(self.read(index))
                while pending:
                    at = pending.pop()
                    if at != start and at not in found:
                        found.add(at)
                        pending += self.read(at)
        self.made_of.clear()
        return found

    def is_end(self, index: int) -> bool:
        """Whether the spot of a node is the output itself: no line names it."""
        node = self.graph.node(index)
        return index in self.graph.outputs and node.line is None and not isinstance(node.payload, Input)

    def is_menu(self, index: int) -> bool:
        """Whether a node is a choice between tensors."""
        return isinstance(self.graph.node(index).payload, Mix)

    def source(self, index: int) -> int | None:
        """The one node that a node is made from, through all items of a menu alike; None where there are several."""
        if index not in self.made_of:
            self.made_of[index] = self.find_source(index)
        return self.made_of[index]

    def find_source(self, index: int) -> int | None:
        """`source`, computed."""
        node = self.graph.node(index)
        sources = list(dict.fromkeys(self.read(index)))
        if isinstance(node.payload, Mix):
            chains = [self.chain(source) for source in sources]
            return next((i for i in chains[0] if all(i in chain for chain in chains)), None)
        return sources[0] if len(sources) == 1 and not isinstance(node.payload, Input) else None

    def chain(self, index: int) -> list[int]:
        """A node and what it is made of, as long as that is one thing and no spot."""
        found = [index]
        while not self.is_drawn(found[-1]) and (source := self.source(found[-1])) is not None:
            found.append(source)
        return found

    def read(self, index: int) -> tuple[int, ...]:
        """The sources whose values matter: an operation may take an input for its shape only."""
        payload = self.graph.node(index).payload
        sources = self.graph.sources(index)
        if isinstance(payload, Call) and payload.block.is_operation:
            return tuple(source for slot, source in enumerate(sources) if slot in slots_read(payload.block))
        return sources


def is_instance(node: Node) -> bool:
    """Whether a node is an instance of a cell, stage or network."""
    return isinstance(node.payload, Call) and not node.payload.block.is_operation


def slots_read(block: Block) -> frozenset[int]:
    """The inputs that the output of an operation is computed from."""
    graph = block.graph
    pending = [] if graph.output is None else [graph.output]
    seen: set[int] = set()
    while pending:
        index = pending.pop()
        if index in seen:
            continue
        seen.add(index)
        payload = graph.node(index).payload
        inner = slots_read(payload.block) if isinstance(payload, Call) else None
        pending += [s for slot, s in enumerate(graph.sources(index)) if inner is None or slot in inner]
    return frozenset(slot for slot, index in enumerate(graph.inputs) if index in seen)
