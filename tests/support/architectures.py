"""Networks without decisions, compared as graphs: the architecture as an object, and what its text elaborates to."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.ir.graph import Block, Call, describe, is_auxiliary
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Gather

Graph = list[tuple[object, ...]]
"""Nodes in order: what each does, its shape, its sources, and whether it is the output."""


def as_graph(network: Elaborated) -> Graph:
    """A network as plain data, blocks inside of blocks; without names of nodes and the auxiliary output.

    A sum in a sum is one sum, unless a line names it or something else reads it: a text does not tell them apart. What
    neither a line nor the output needs leaves no trace.
    """
    return _block(network.block, {})


def _block(block: Block, known: dict[Block, Graph]) -> Graph:
    if block in known:
        return known[block]
    graph = block.graph
    made: Graph = []
    place: dict[int, int] = {}
    nested = {index for index, node in graph.order() if _is_sum(node.payload) and node.line is None}
    nested -= {index for index in nested if index == graph.output or len(set(graph.readers(index))) != 1}
    nested = {index for index in nested if _is_sum(graph.node(graph.readers(index)[0]).payload)}

    needed = {index for index, node in graph.order() if node.line is not None or index == graph.output}
    for index, _ in reversed(list(graph.order())):
        needed.update(graph.sources(index) if index in needed else ())

    def sources(index: int) -> list[int]:
        found = []
        for source in graph.sources(index):
            found += sources(source) if source in nested else [place[source]]
        return found

    for index, node in graph.order():
        if index in nested or index not in needed or is_auxiliary(node):
            continue
        place[index] = len(made)
        what: object = describe(node.payload)
        if isinstance(node.payload, Call):
            inner = node.payload.block
            what = (inner.level, inner.copy is None, _numbers(inner), _block(inner, known))
        made.append((what, str(node.shape), tuple(sources(index)), index == graph.output))
    known[block] = made
    return made


def _is_sum(payload: object) -> bool:
    return isinstance(payload, Prim) and payload.op.gather is Gather.SUM


def _numbers(block: Block) -> dict[str, object]:
    return {name: value for name, value in block.params.items() if isinstance(value, int | float | str)}
