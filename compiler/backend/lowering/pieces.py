"""Which cuts of a tensor make it up: they are one operation, which puts the tensor's gradient together once."""

from __future__ import annotations

from collections.abc import Collection

from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.primitives.structure import Cut


def pieces_of(graph: SpaceGraph, index: int, members: Collection[int]) -> dict[int, int]:
    """The cuts of a tensor that together are its channels, in their order, and how many channels each has.

    Args:
        graph: the network.
        index: the tensor.
        members: the nodes among which cuts are looked for.

    Returns:
        Nothing where the cuts overlap, leave channels out, or are of open widths.
    """
    cuts = [(op, reader) for reader in members if (op := _cut(graph, reader)) and index in graph.sources(reader)]
    end, found = 0, {}
    for op, reader in sorted(cuts, key=lambda pair: pair[0].start):
        if not isinstance(op.c, int) or op.start != end:
            return {}
        found[reader] = op.c
        end += op.c
    return found if len(found) > 1 and end == graph.node(index).shape.c else {}


def _cut(graph: SpaceGraph, index: int) -> Cut | None:
    payload = graph.node(index).payload
    return payload.op if isinstance(payload, Prim) and isinstance(payload.op, Cut) else None
