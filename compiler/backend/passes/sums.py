"""Shared by the passes on sums: which nodes a sum may take in, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from compiler.ir.existence import gather_of
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Mix, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.sums import Share, Sum, Term

from .patterns import Rule
from .rebuild import reader_counts

MayTake = Callable[[Node, Node], bool]
"""Whether a sum, the second node, may compute the first along."""

Terms: TypeAlias = "tuple[tuple[Term, ...], tuple[int, ...]]"
"""Terms with their sources."""


def taker(graph: SpaceGraph) -> MayTake:
    """A sum may take in what nothing else reads and what lies in the same cell or stage."""
    single = {graph.node(index).name for index, count in reader_counts(graph).items() if count == 1}
    return lambda node, reader: node.name in single and node.scope == reader.scope


def terms_of(node: Node, count: int) -> tuple[Term, ...] | None:
    """The terms that a node with so many sources adds up, or None where it does something else."""
    match node.payload:
        case Mix(decisions=decisions, rows=rows):
            return tuple(Term((Share(decisions, row),)) for row in rows)
        case Weigh() as factor:
            return (Term((factor,)),)
        case Sum(terms=terms):
            return terms
    return (Term(),) * count if gather_of(node.payload) is Gather.SUM else None


def extended(
    term: Term, index: int, rules: Iterable[Rule], graph: SpaceGraph, may_take: Callable[[Node], bool]
) -> Terms | None:
    """A term that takes in the node that it reads, by the first rule that applies; None where none does."""
    for rule in rules:
        found = rule.apply(term, index, graph, may_take)
        if found is not None:
            return (found[0],), (found[1],)
    return None


def take_in(
    node: Node,
    terms: tuple[Term, ...],
    sources: tuple[int, ...],
    result: SpaceGraph,
    inner: Callable[[Term, int], Terms | None],
) -> int:
    """Add a node to ``result`` as a sum, whose terms ``inner`` may replace by others of other sources, repeatedly."""
    pending = list(zip(terms, sources, strict=True))[::-1]
    flat: list[tuple[Term, int]] = []
    while pending:
        term, source = pending.pop()
        deeper = inner(term, source)
        if deeper is None:
            flat.append((term, source))
        else:
            pending += list(zip(*deeper, strict=True))[::-1]
    payload = Sum(tuple(term for term, _ in flat), not isinstance(node.payload, Sum) or node.payload.keep)
    return result.add(replace(node, payload=payload), tuple(source for _, source in flat))


def inlined(term: Term, source: int, result: SpaceGraph) -> Terms | None:
    """The terms of a sum or of a weighed candidate, for a plain term that reads it."""
    node, deeper = result.node(source), result.sources(source)
    terms = terms_of(node, len(deeper)) if isinstance(node.payload, Sum | Weigh) and term.is_plain else None
    if terms is None:
        return None
    return tuple(replace(t, weight=(*term.weight, *t.weight)) for t in terms), deeper
