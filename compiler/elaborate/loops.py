"""Recurrences: what may stand between the two ends of a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Mix, Prim
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

from .errors import ElaborationError
from .values import Tensor


def check_loop(graph: SpaceGraph, inputs: Sequence[Tensor], span: Span) -> None:
    """Check the inputs of an operation that closes a loop: what a cell gives, and the state that it reads.

    Raises:
        ElaborationError: the first is of no cell or stage, the second opens no loop, or something between them reads
            several positions.
    """
    given, state = (graph.node(tensor.index) for tensor in inputs)
    if not (isinstance(state.payload, Prim) and state.payload.op.opens_loop):
        searched = "each width has a `scan` of its own, `scan(A, c = 4) -> linear(8) | scan(A, c = 8)`"
        placed = "`x -> scan(Cell)` puts a cell between the two ends of a loop"
        hint = searched if isinstance(state.payload, Mix) else placed
        raise ElaborationError(Code.KIND, span, f"'{state.name}' is not a state that a loop starts from", hint)
    if not isinstance(given.payload, Call) or given.payload.block.is_operation:
        chosen = "each choice of cells has a `scan` of its own, `scan(A) | scan(B)`"
        hint = chosen if isinstance(given.payload, Mix) else "write a `cell` for it: `cell Step(x, h) { output ... }`"
        raise ElaborationError(Code.KIND, span, "a recurrence is one of a cell or stage", hint)
    block = given.payload.block
    for node, op in _operations(block):
        if not op.op.stepwise:
            message = f"a recurrence gives '{block.name}' one position at a time, but '{op.op.called}' reads several"
            hint = "apply it before or after the recurrence"
            raise ElaborationError(Code.SHAPE, span, message, hint, (node.span, "here"))


def _operations(block: Block) -> Iterator[tuple[Node, Prim]]:
    """The primitives of a block, and of those that it calls."""
    for _, node in block.graph.order():
        if isinstance(node.payload, Prim):
            yield node, node.payload
        elif isinstance(node.payload, Call):
            yield from _operations(node.payload.block)
