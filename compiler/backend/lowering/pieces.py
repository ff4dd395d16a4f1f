"""The cuts of a tensor that make up all of it: one operation, which assembles the tensor's gradient once."""

from __future__ import annotations

from collections.abc import Collection

from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Prim


def pieces_of(graph: SpaceGraph, index: int, members: Collection[int]) -> dict[int, int]:
    """The cuts of a tensor that together are its channels, in their order, and how many channels each has.

    Args:
        graph: the network.
        index: the tensor.
        members: the nodes among which cuts are looked for.

    Returns:
        Nothing where the cuts overlap, leave channels out, or are of open widths.
    """
    cuts = [(first, reader) for reader in members if (first := _first_channel(graph, index, reader)) is not None]
    end, found = 0, {}
    for first, reader in sorted(cuts):
        width = graph.node(reader).shape.c
        if not isinstance(width, int) or first != end:
            return {}
        found[reader] = width
        end += width
    return found if len(found) > 1 and end == graph.node(index).shape.c else {}


def _first_channel(graph: SpaceGraph, index: int, reader: int) -> int | None:
    """Where the channels of a tensor that a node slices begin."""
    payload = graph.node(reader).payload
    if isinstance(payload, Prim) and index in graph.sources(reader):
        return payload.op.first_channel
    return None
