"""drop_none: a zero tensor is neither made, weighed nor added. Its share of the softmax stays with its decision."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather

from .rebuild import rebuild


def drop_none(graph: SpaceGraph) -> SpaceGraph:
    """Remove zeros from mixes and sums; one that has nothing else is itself a zero."""

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        zero = [_is_zero(result.node(source)) for source in sources]
        if not any(zero):
            return None
        kept = tuple(source for source, gone in zip(sources, zero, strict=True) if not gone)
        match node.payload:
            case Mix(decisions=decisions, rows=rows):
                left = tuple(row for row, gone in zip(rows, zero, strict=True) if not gone)
                return result.add(replace(node, payload=Mix(decisions, left)), kept) if kept else sources[0]
            case Prim(op=op) if op.gather is Gather.SUM:
                return result.add(node, kept) if kept else sources[0]
            case Weigh():
                return sources[0]
        return None

    return rebuild(graph, visit)


def _is_zero(node: Node) -> bool:
    return isinstance(node.payload, Prim) and node.payload.op.zero
