"""The items of menus without parameters: skips, pools, zeros. Searches that collapse take little else."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.ir.graph import Call, SpaceGraph
from compiler.ir.payloads import Mix, Prim


def parameter_free(space: Elaborated) -> dict[str, frozenset[int]]:
    """The items that have no trainable parameters, of each menu of operations with others that have some, by path.

    Menus that are part of a larger mixture, such as one of widths, are left out.
    """
    found: dict[str, frozenset[int]] = {}
    for copy in space.copies.values():
        graph = copy.body.graph
        for index, node in graph.order():
            if not isinstance(node.payload, Mix) or len(node.payload.decisions) != 1:
                continue
            own = [_own(graph, source) for source in graph.sources(index)]
            shared = set.intersection(*own) if own else set()
            free = [not any(_has_parameters(graph, part) for part in parts - shared) for parts in own]
            if any(free) and not all(free):
                rows = node.payload.rows
                items = {item for row, is_free in zip(rows, free, strict=True) if is_free for (item,) in row}
                found[node.payload.decisions[0]] = frozenset(items)
    return found


def _own(graph: SpaceGraph, index: int) -> set[int]:
    """A node and what it is computed from, up to lines and inputs, which others may read."""
    found: set[int] = set()
    pending = [index]
    while pending:
        at = pending.pop()
        if at in found or graph.node(at).line is not None:
            continue
        found.add(at)
        pending += graph.sources(at)
    return found


def _has_parameters(graph: SpaceGraph, index: int) -> bool:
    node = graph.node(index)
    match node.payload:
        case Prim(op=op):
            inputs = [graph.node(source).shape.largest for source in graph.sources(index)]
            return op.available and op.params(inputs, node.shape.largest) > 0
        case Call(block=block):
            return any(_has_parameters(block.graph, inner) for inner, _ in block.graph.order())
    return False
