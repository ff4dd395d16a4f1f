"""Activation checkpointing: the cells that are computed again where a step would hold more than its memory budget."""

from __future__ import annotations

from compiler.backend.passes.estimate import Scope, held_bytes
from compiler.backend.passes.target import Target
from compiler.ir.graph import SpaceGraph

from .regions import regions_of


def recomputed_scopes(graph: SpaceGraph, target: Target) -> frozenset[Scope]:
    """The scopes of the cells that are computed again: none without a budget, else as few as fit in it.

    Cells that hold most come first, as large ones cost no more time for each byte than small ones. Where no number of
    them fits, it is that which holds least. Under `torch.compile`, which plans memory itself, there are none.
    """
    if target.memory_budget is None or target.compiled:
        return frozenset()
    alone = held_bytes(graph)
    cells = [leaf.scope for leaf in regions_of(graph).leaves() if leaf.scope]
    saved = {scope: alone - held_bytes(graph, {scope}) for scope in cells}
    best, least = frozenset[Scope](), alone
    chosen = set[Scope]()
    for scope in sorted(cells, key=lambda scope: -saved[scope]):
        if least * target.batch <= target.memory_budget:
            break
        chosen.add(scope)
        if (held := held_bytes(graph, chosen)) < least:
            best, least = frozenset(chosen), held
    return best
