"""Edges: the terms of a sum that apply operations to a source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hdas_dsl.tree.ast import (
    Arg,
    Binding,
    Call,
    Copy,
    Each,
    Expr,
    Field,
    GraphDef,
    If,
    Index,
    Module,
    Name,
    Node,
    Pick,
    Pipe,
    Take,
    Tuple,
)

from .canonical import element_spelling, key, terms_of

_NO_OPERATION = frozenset({"concat", "prev", "min", "max", "ceil", "floor", "round_to", "abs"})
"""Functions that compute a number or gather tensors: their arguments are not edges into an operation."""

_Source = Name | Field | Index | Copy | Each | Take | Pick | Call | Pipe | If | Tuple


@dataclass(frozen=True)
class Edge:
    """A source and the operations that are applied to it, in order.

    ``first`` is the number of the first argument of the first operation: 2 in ``f(x, 3)``, 1 in ``x -> f(3)``.
    """

    source: Expr
    operations: tuple[Expr, ...]
    first: int = 1


def edge_of(node: Node) -> Edge | None:
    """The edge that an expression is; None where it is none."""
    match node:
        case Pipe():
            return Edge(node.stages[0], node.stages[1:])
        case Call(func=Name(id=name)) if name in _NO_OPERATION:
            return None
        case Call(args=(Arg(ident=None, value=source), *rest)) if isinstance(source, _Source) or _gathers(source):
            return Edge(source, (Call(node.func, tuple(rest)) if rest else node.func,), 2)
        case Name() | Index() | Field():
            return Edge(node, ())
    return None


def applies(node: Node) -> bool:
    """Whether an expression is an edge with an operation."""
    edge = edge_of(node)
    return edge is not None and bool(edge.operations)


def _gathers(node: Expr) -> bool:
    """A sum of tensors, not of numbers."""
    terms = terms_of(node)
    return len(terms) > 1 and any(map(applies, terms))


def head(operation: Expr) -> Expr:
    """An operation without its arguments."""
    return operation.func if isinstance(operation, Call) else operation


def heads(edge: Edge) -> list[str]:
    """The keys of an edge's operations without their arguments."""
    return [key(head(operation)) for operation in edge.operations]


def slot(source: Expr) -> str:
    """The slot of an edge from a named source, ``.from_x``; empty for any other source."""
    match source:
        case Name():
            return f".from_{source.id}"
        case Index() if (spelled := element_spelling(source)) is not None:
            return f".from_{spelled}"
        case Field() if base := slot(source.base):
            return f"{base}_{source.name}"
    return ""


def line_name(line: Binding) -> str:
    """A family is not the line of the same name: ``n[i < 4]`` is one line, ``n0`` another."""
    return target_name(line) + ("[]" if line.target.dims else "")


def target_name(line: Binding) -> str:
    """The name that a line defines, or its names in parentheses."""
    return line.target.name if len(line.target.names) == 1 else f"({', '.join(line.target.names)})"


def edges_of(module: Module) -> dict[str, list[str]]:
    """The edges of all cells, stages and networks, as keys, by the path of the line they end in."""
    found: dict[str, list[str]] = {}

    def gather(lines: Iterable[Node], path: str) -> None:
        for line in lines:
            if not isinstance(line, Binding):
                continue
            place = f"{path}.{line_name(line)}"
            terms = terms_of(line.value)
            if any(map(applies, terms)):
                found.setdefault(place, []).extend(key(term) for term in terms if edge_of(term))
            gather(line.where, place)

    for definition in module.definitions:
        if isinstance(definition, GraphDef):
            gather(definition.body.lines, definition.title)
    return found
