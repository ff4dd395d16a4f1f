"""A quantity of one architecture, added up over the nodes of its graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.derivation.assignment import Assignment
from compiler.derivation.discrete import DifferentDecisionsError
from compiler.derivation.specialise import Selecting
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.existence import ALWAYS
from compiler.ir.graph import Block, Call, Node, SpaceGraph, is_auxiliary
from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.base import Gather
from hdas_dsl.text.diagnostics import HspError

from .cost_polynomial import operation, primitive
from .prices import Amount, Price, UndefinedQuantityError, sizes


@dataclass(eq=False)
class ArchitectureCosts:
    """Quantities of the architectures of a space. The last of them is kept: it is mostly asked for several.

    Args:
        space: an elaborated network, with or without choices.
    """

    space: Elaborated
    _last: Selecting | None = field(default=None, init=False)

    def amount(self, price: Price, chosen: Selection, copy: str | None = None) -> Amount:
        """The quantity of the architecture that decisions select, or of one of its copies, by its path.

        Raises:
            UndefinedQuantityError: it has no value.
        """
        try:
            if self._last is None or self._last.chosen != chosen:
                self._last = Selecting(self.space, chosen)
            block = self._last.network if copy is None else self._last.copy(copy)
        except DifferentDecisionsError as error:
            raise UndefinedQuantityError(str(error)) from None
        except HspError as error:
            raise UndefinedQuantityError(error.diagnostics[0].message) from None
        if block is None:
            raise UndefinedQuantityError(f"there is no '{copy}' here")
        return PriceSum(price).block(block)


@dataclass(eq=False)
class PriceSum:
    """One quantity of blocks without decisions, each computed once."""

    price: Price
    known: dict[Block, Amount] = field(default_factory=dict)

    def block(self, block: Block) -> Amount:
        """The quantity of a block, all instances inside included."""
        if block not in self.known:
            graph = block.graph
            nodes = ((index, node) for index, node in graph.order() if not is_auxiliary(node))
            self.known[block] = sum(self.node(graph, index, node) for index, node in nodes)
        return self.known[block]

    def node(self, graph: SpaceGraph, index: int, node: Node) -> Amount:
        """The quantity of a node of a graph."""
        inputs = [graph.node(source).shape for source in graph.sources(index)]
        match node.payload:
            case Call(block=block):
                inside = self.block(block)
                if self.price.prices_operation(block.name) and block.is_operation:
                    inside = operation(self.price, block, inputs, node.shape, Assignment(), {ALWAYS: inside})
                return self.price.applied(block) + inside
            case Prim(op=op) if self.price.of_structure:
                return self.price.applied(op)
            case Prim(op=op):
                total = self.price.applied(op) + primitive(self.price, op, inputs, node.shape, Assignment())
                if op.gather is Gather.SUM:
                    total += len(inputs) * self.price.addend(sizes([node.shape])[0])
                return total
            case Weigh():
                return self.price.picked()
        return 0
