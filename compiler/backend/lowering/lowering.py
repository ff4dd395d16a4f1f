"""What the regions of a network are lowered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from compiler.backend.passes.estimate import Scope
from compiler.ir.decision import Decision
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Share, Sum, Sums
from compiler.ir.undecided import Var, lift

from .regions import Region


@dataclass(frozen=True)
class Lowering:
    """The parts of a network from which each region is lowered."""

    graph: SpaceGraph
    decisions: Mapping[str, Decision]
    drop_path: bool
    modules: Mapping[str, nn.Module]
    recomputed: frozenset[Scope] = frozenset()
    """The scopes of the regions that are computed again in the backward pass."""

    # ------------------------------------------------------------ what crosses a border

    def inputs(self, members: set[int]) -> list[int]:
        """The nodes outside that some nodes read, in order."""
        return sorted({source for member in members for source in self.graph.sources(member)} - members)

    def outputs(self, members: set[int]) -> list[int]:
        """The nodes of a region that others read, or that are outputs of the network, in order."""
        ends = set(self.graph.outputs)
        return sorted(m for m in members if m in ends or not members.issuperset(self.graph.readers(m)))

    def state(self, region: Region) -> int | None:
        """The node that opens the loop that a region is; None where it is none, or reads nothing of its state."""
        members = region.nodes()
        for output in self.outputs(members):
            for reader in self.graph.readers(output):
                node = self.graph.node(reader)
                closes = isinstance(node.payload, Prim) and node.payload.op.closes_loop
                if closes and node.scope == region.scope[:-1]:
                    state = self.graph.sources(reader)[1]
                    return state if state in self.inputs(members) else None
        return None

    def reads_weights(self, members: set[int]) -> bool:
        """Whether some of the nodes need the weights of choices."""
        return any(self._reads_weights(self.graph.node(m)) or self.packing(m) is not None for m in members)

    def _reads_weights(self, node: Node) -> bool:
        match node.payload:
            case Mix():
                return True
            case Weigh(decision=decision):
                return not self.decisions[decision].candidates
            case Sum(terms=terms):
                return any(self.factors(term.weight) for term in terms)
            case Sums(sums=sums):
                return any(self.factors(term.weight) for total in sums for term in total.terms)
        return self.masking_width(node) is not None

    def masking_width(self, node: Node) -> Var[int] | None:
        """The undecided width that masks a node's output."""
        if isinstance(node.payload, Prim) and isinstance(node.shape.c, Var):
            return node.shape.c if node.payload.op.fills else None
        return None

    def packing(self, index: int) -> Var[tuple[int, ...]] | None:
        """The undecided widths of what a node puts together along the channels; None where it does not, or they are."""
        payload = self.graph.node(index).payload
        sources = self.graph.sources(index)
        if not (isinstance(payload, Prim) and payload.op.gather is Gather.CONCATENATION and len(sources) > 1):
            return None
        widths = lift(lambda *each: each, *(self.graph.node(source).shape.c for source in sources))
        return widths if isinstance(widths, Var) else None

    def factors(self, weight: tuple[Share | Weigh, ...]) -> tuple[Share | Weigh, ...]:
        """Without those that are 1: a menu weighs its items itself."""
        return tuple(f for f in weight if isinstance(f, Share) or not self.decisions[f.decision].candidates)
