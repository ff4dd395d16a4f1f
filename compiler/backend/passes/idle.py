"""idle: takes out what changes nothing: identities, and paths that are dropped only in training a discrete network."""

from __future__ import annotations

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim

from .rebuild import rebuild
from .target import Target


def idle(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Let readers of identities, and without a training of `drop_path`, read what those read."""

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        op = node.payload.op if isinstance(node.payload, Prim) else None
        is_idle = op is not None and op.identity and not (op.drops_paths and target.drop_path)
        return sources[0] if is_idle else None

    return rebuild(graph, visit)
