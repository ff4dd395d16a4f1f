"""recompute: what filters give is computed again in the backward pass, where that is cheap or memory is short.

The C++ kernel computes a filter about as fast as it could read its result back from memory, so there all of them are
computed again, and so are, when the network runs, separable convolutions of few channels that sums read
(`KernelTerms.is_cheap`). torch's operations are slower: there it happens only under a memory budget, for as many sums
as it takes, those first that hold most for the time they cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.sums import Sum, Sums

from .estimate import filter_work, filtered_bytes, held_bytes
from .rebuild import rebuild
from .target import Target


def recompute(graph: SpaceGraph, target: Target) -> SpaceGraph:
    """Mark the sums whose filters are not kept."""
    chosen = _chosen(graph, target)

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        if node.name not in chosen:
            return None
        match node.payload:
            case Sum() as total:
                return result.add(replace(node, payload=replace(total, keep=False)), sources)
            case Sums(sums=sums):
                forgetful = Sums(tuple(replace(total, keep=False) for total in sums))
                return result.add(replace(node, payload=forgetful), sources)
        return None

    return rebuild(graph, visit)


@dataclass(frozen=True)
class _Candidate:
    name: str
    held: int
    work: int


def _chosen(graph: SpaceGraph, target: Target) -> set[str]:
    candidates = []
    for _, node in graph.order():
        held = filtered_bytes(node)
        if held:
            candidates.append(_Candidate(node.name, held, filter_work(node)))
    if target.machine.kernel:
        return {candidate.name for candidate in candidates}
    if target.memory_budget is None:
        return set()
    over = held_bytes(graph) * target.batch - target.memory_budget
    chosen = set()
    for candidate in sorted(candidates, key=lambda c: c.work / c.held):
        if over <= 0:
            break
        chosen.add(candidate.name)
        over -= candidate.held * target.batch
    return chosen
