"""idle: what changes nothing is no node: identities, and paths that are dropped only in training a discrete network."""

from __future__ import annotations

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim

from .rebuild import rebuild
from .target import Target


def idle(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Let readers of identities, and without a training of `drop_path`, read what those read."""
    names = {"identity"} if target.drop_path else {"identity", "drop_path"}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        return sources[0] if isinstance(node.payload, Prim) and node.payload.name in names else None

    return rebuild(graph, visit)
