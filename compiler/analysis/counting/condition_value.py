"""What a `require` says of structure, as counting understands it: `edges`, `count(Op)`, numbers and comparisons."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.elaborate import Copy
from compiler.elaborate.numbers import BINARY, tidy
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.tree import ast

COSTS = ("params", "macs", "memory", "latency")
"""Quantities of a `require` that take no part in counting; `edges` and `count(Op)` do."""


class Uncountable(HspError):
    """What a text requires is beyond counting; the space can still be searched."""

    def __init__(self, node: ast.Node, message: str) -> None:
        super().__init__([Diagnostic(Code.QUANTITY, node.span, message)])
        self.message = message


def of_cost(condition: ast.Expr) -> bool:
    """Whether a condition speaks of costs."""
    return any(isinstance(node, ast.Name) and node.id in COSTS for node in condition.walk())


def quantity(node: ast.Node) -> str | None:
    """``edges``: how many tensors the picks of a text take. ``count(Op)``: the applications of an operation in it."""
    match node:
        case ast.Name(id="edges"):
            return "edges"
        case ast.Call(func=ast.Name(id="count"), args=(ast.Arg(name=None, value=ast.Name(id=name)),)):
            return f"count({name})"
    return None


def amount(expr: ast.Expr, copy: Copy, grades: Mapping[str, int]) -> int | float:
    """The value of a condition, or of a part of it, where quantities have these values."""
    spoken = quantity(expr)
    if spoken is not None:
        return grades[spoken]
    match expr:
        case ast.Number():
            return expr.value
        case ast.Name(id=name) if isinstance(value := copy.body.bindings.get(name), int | float):
            return value
        case ast.Unary(op="not", operand=operand):
            return not amount(operand, copy, grades)
        case ast.Unary(operand=operand):
            return -amount(operand, copy, grades)
        case ast.Binary(op="and", left=left, right=right):
            return amount(left, copy, grades) and amount(right, copy, grades)
        case ast.Binary(op="or", left=left, right=right):
            return amount(left, copy, grades) or amount(right, copy, grades)
        case ast.Binary(op=op, left=left, right=right) if op != "in":
            result: int | float = tidy(BINARY[op](amount(left, copy, grades), amount(right, copy, grades)))
            return result
    raise Uncountable(expr, "architectures cannot be counted under this requirement")
