"""split: what several nodes take of the same tensors, only weighted, is added up apart for each of them.

`batch` then joins these sums: instead of a gradient per node and tensor, which autograd would have to add up, there is
one gradient per tensor.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.sums import Share, Sum, Term

from .rebuild import rebuild


def split(graph: SpaceGraph) -> SpaceGraph:
    """Take the weighted terms of one decision out of sums, where another sum of the cell or stage reads the same."""
    often = Counter(
        (node.scope, frozenset(graph.sources(index)[place] for place in places))
        for index, node in graph.order()
        for places in _groups(node)
    )
    at = {node.name: index for index, node in graph.order()}

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        before = graph.sources(at[node.name])
        apart = [
            places for places in _groups(node) if often[node.scope, frozenset(before[place] for place in places)] > 1
        ]
        if not apart or not isinstance(node.payload, Sum):
            return None
        terms = node.payload.terms
        gone = {place for places in apart for place in places}
        kept = [(terms[place], sources[place]) for place in range(len(terms)) if place not in gone]
        for number, places in enumerate(apart):
            part = replace(node.payload, terms=tuple(terms[place] for place in places))
            name = f"{node.name}.plain{number}"
            added = replace(node, name=name, payload=part, line=None)
            kept.append((Term(), result.add(added, tuple(sources[place] for place in places))))
        payload = replace(node.payload, terms=tuple(term for term, _ in kept))
        return result.add(replace(node, payload=payload), tuple(source for _, source in kept))

    return rebuild(graph, visit)


def _groups(node: Node) -> list[list[int]]:
    """The terms of a sum that do nothing but weigh, several of one decision together."""
    groups: dict[object, list[int]] = {}
    if isinstance(node.payload, Sum):
        for place, term in enumerate(node.payload.terms):
            if term.is_plain and term.weight:
                chosen_by = tuple(f.decisions if isinstance(f, Share) else f for f in term.weight)
                groups.setdefault(chosen_by, []).append(place)
        groups = {key: places for key, places in groups.items() if 1 < len(places) < len(node.payload.terms)}
    return list(groups.values())
