"""Facts about blocks that selecting an architecture needs: which depend on decisions, whether any width is open."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.elaborate.values import Value, params_of
from compiler.ir.graph import Block, Call, Node
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.undecided import Open, Var

from .assignment import undecided


def undecided_blocks(network: Elaborated) -> frozenset[Block]:
    """The blocks of a network in which anything depends on a decision."""
    known: dict[Block, bool] = {}

    def is_undecided(block: Block) -> bool:
        if block not in known:
            nodes = [node for _, node in block.graph.order()]
            inner = [is_undecided(node.payload.block) for node in nodes if isinstance(node.payload, Call)]
            known[block] = any(inner) or any(map(_depends, nodes)) or any(map(_mentions, params_of(block).values()))
        return known[block]

    is_undecided(network.block)
    for copy in network.copies.values():
        for block in copy.bodies:
            known[block] = is_undecided(block) or copy.live
    return frozenset(block for block, found in known.items() if found)


def _depends(node: Node) -> bool:
    """Whether a node is a choice, or has a parameter or an extent that depends on one."""
    match node.payload:
        case Mix() | Weigh():
            return True
        case Prim(op=op) if op.decisions:
            return True
    return any(isinstance(dim, Var) for dim in node.shape.dims)


def _mentions(value: Value) -> bool:
    """Whether a value depends on a decision."""
    return next(undecided(value), None) is not None


def has_open_widths(network: Elaborated) -> bool:
    """Whether any width of a network follows from its readers."""
    seen: set[Block] = set()

    def is_open(block: Block) -> bool:
        if block in seen:
            return False
        seen.add(block)
        nodes = [node for _, node in block.graph.order()]
        if any(isinstance(dim, Open) for node in nodes for dim in node.shape.dims):
            return True
        return any(is_open(node.payload.block) for node in nodes if isinstance(node.payload, Call))

    return is_open(network.block)
