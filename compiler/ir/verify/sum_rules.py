"""The rules of fused sums, which passes put into flat graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.ir.graph import Node
from compiler.ir.primitives.roles import BatchNormalisation, Corner, Pointwise, Window
from compiler.ir.shape import Shape
from compiler.ir.sums import Item, Part, Share, Sum, Sums, Term

from .rules import Context, Rule, shapes_text, unknown_items, wrong_assignments, wrong_candidate


def _sum_sources(context: Context, payload: Sum | Sums) -> Iterator[str]:
    count = sum(len(total.terms) for total in _totals(payload))
    if count != len(context.sources) or not all(total.terms for total in _totals(payload)):
        yield f"{count} terms, {len(context.sources)} sources"


def _totals(payload: Sum | Sums) -> tuple[Sum, ...]:
    return payload.sums if isinstance(payload, Sums) else (payload,)


def _terms(context: Context, payload: Sum | Sums) -> Iterator[tuple[Term, Node]]:
    """The terms, each with the node that it reads."""
    terms = [term for total in _totals(payload) for term in total.terms]
    yield from zip(terms, context.sources, strict=False)


def _weights(context: Context, payload: Sum | Sums) -> Iterator[str]:
    for term, _ in _terms(context, payload):
        for factor in term.weight:
            if isinstance(factor, Share):
                yield from wrong_assignments(context, factor.decisions, list(factor.row))
            else:
                yield from unknown_items(context, factor.decision, (factor.index,))
                yield from wrong_candidate(context, factor)


def _roles(context: Context, payload: Sum | Sums) -> Iterator[str]:
    for term, _ in _terms(context, payload):
        for part, kinds in (
            (term.before, BatchNormalisation),
            (term.filter, Window | Corner),
            (term.projection, Pointwise),
            (term.norm, BatchNormalisation),
            *((part, BatchNormalisation) for part in term.tied),
        ):
            if part is not None and not isinstance(part.op.role, kinds):
                yield f"'{part.name}' is '{part.op.called}'"


def _chains(context: Context, payload: Sum | Sums) -> Iterator[str]:
    """Each part reads what the one before it makes, and the last makes the sum, or some of its channels."""
    for term, source in _terms(context, payload):
        shape = source.shape
        for part in (term.before, term.filter, term.projection):
            if part is not None:
                yield from _reads(part, shape)
                shape = part.shape
        if term.columns is not None:
            columns = term.columns
            if not 0 <= columns.first < columns.first + columns.count <= columns.width or shape.c != columns.count:
                yield f"channels {columns.first} to {columns.first + columns.count - 1} of {columns.width}"
            shape = Shape((columns.width, *shape.space))
        for part in (term.norm, *term.tied):
            if part is not None:
                yield from _reads(part, shape)
        if shape != context.node.shape:
            yield f"a term makes {shape} of '{source.name}', the sum is {context.node.shape}"


def _reads(part: Part, shape: Shape) -> Iterator[str]:
    if part.inputs != (shape,):
        yield f"'{part.name}' reads {shapes_text(list(part.inputs))}, not {shape}"


def sums_readers(context: Context, payload: Sums) -> Iterator[str]:
    """Only items read several sums."""
    for reader in context.graph.readers(context.index):
        if not isinstance(context.graph.node(reader).payload, Item):
            yield f"'{context.graph.node(reader).name}' reads all of them"


def item(context: Context, payload: Item) -> Iterator[str]:
    """An item is one of the sums that it reads."""
    if len(context.sources) != 1 or not isinstance(context.sources[0].payload, Sums):
        yield "it reads no sums"
        return
    (source,) = context.sources
    assert isinstance(source.payload, Sums)
    if not 0 <= payload.index < len(source.payload.sums):
        yield f"sum {payload.index} of {len(source.payload.sums)}"
    if source.shape != context.node.shape:
        yield f"it is {context.node.shape}, the sums are {source.shape}"


SUM_RULES: Mapping[str, Rule] = {
    "a sum has one source for each term": _sum_sources,
    "weights are of decisions": _weights,
    "the parts of a term have roles": _roles,
    "the parts of a term fit together": _chains,
}
