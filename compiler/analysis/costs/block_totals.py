"""Parameters, multiply-adds and activation memory, computed on the graph (law 8): of an architecture, or of a space
with all candidates counted. What a space costs as a function of its decisions is in `compiler.analysis.costs`.

The auxiliary head takes no part. Costs are None where an open width leaves them undefined.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.graph import Block, Call, Node, SpaceGraph, is_auxiliary
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open


@dataclass(frozen=True)
class Cost:
    """``params``: trainable parameters. ``macs``: multiply-adds of convs and linears for one image. ``memory``: bytes
    of the tensors that primitives make for one image in float32."""

    params: int | None
    macs: int | None
    memory: int | None

    def __add__(self, other: Cost) -> Cost:
        return Cost(_plus(self.params, other.params), _plus(self.macs, other.macs), _plus(self.memory, other.memory))


NOTHING = Cost(0, 0, 0)
UNDEFINED = Cost(None, None, None)


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


class Costs:
    """Costs of blocks, each computed once."""

    def __init__(self) -> None:
        self._blocks: dict[int, Cost] = {}

    def block(self, block: Block) -> Cost:
        """The cost of a block, all instances inside included."""
        if id(block) not in self._blocks:
            total = NOTHING
            for index, node in block.graph.order():
                if not is_auxiliary(node):
                    total += self.node(block.graph, index, node)
            self._blocks[id(block)] = total
        return self._blocks[id(block)]

    def node(self, graph: SpaceGraph, index: int, node: Node) -> Cost:
        """The cost of a node of a graph."""
        match node.payload:
            case Call(block=block):
                return self.block(block)
            case Prim(op=op):
                return primitive_cost(op, [graph.node(s).shape for s in graph.sources(index)], node.shape)
        return NOTHING


def primitive_cost(op: Operator, inputs: list[Shape], output: Shape) -> Cost:
    """The cost of one primitive; undecided widths at their largest."""
    if not op.available:
        return UNDEFINED
    if any(isinstance(dim, Open) for shape in (*inputs, output) for dim in shape.dims):
        return Cost(0, 0, None) if op.pure else UNDEFINED
    shapes, made = [shape.largest for shape in inputs], output.largest
    return Cost(op.params(shapes, made), op.macs(shapes, made), op.memory(shapes, made))
