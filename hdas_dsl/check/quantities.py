"""`require` and preferences: conditions, and arithmetic of quantities."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import ALPHA_QUANTITIES, FAMILY_QUANTITIES, QUANTITIES, SCHEDULES

from .expressions import Expressions
from .names import Names
from .report import Report
from .scope import Place, Scope


@dataclass(frozen=True)
class Quantities:
    """The check of requirements and preferences in one file."""

    expressions: Expressions
    names: Names
    report: Report

    def statement(self, line: ast.Require | ast.Preference, scope: Scope) -> None:
        """A requirement or preference in the body of a definition."""
        if isinstance(line, ast.Require):
            self.expressions.check(line.condition, replace(scope, quantities=True))
            return
        self.quantity(line.quantity, scope)
        if line.weight is not None:
            self._weight(line.weight, scope)

    def _weight(self, expr: ast.Expr, scope: Scope) -> None:
        """The weight of a preference: a number of the body, or a schedule as settings have it."""
        if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name) and expr.func.id in SCHEDULES:
            self.expressions.numbers(expr)
        else:
            self.expressions.check(expr, scope)

    def quantity(self, expr: ast.Expr, scope: Scope) -> None:
        """The quantity of a preference."""
        match expr:
            case ast.Binary():
                self.quantity(expr.left, scope)
                self.quantity(expr.right, scope)
            case ast.Call(func=ast.Name(id="log"), args=args):
                for arg in args:
                    self.quantity(arg.value, scope)
            case ast.Call(func=ast.Name(id=name)) if name in QUANTITIES:
                self._call(expr, name, scope)
            case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)) if name not in QUANTITIES:
                hint = suggest(name, QUANTITIES) or f"known: {', '.join(QUANTITIES)}"
                span = expr.func.span if isinstance(expr, ast.Call) else expr.span
                self.report.error(Code.QUANTITY, span, f"'{name}' is not a quantity", hint)

    def _call(self, expr: ast.Call, name: str, scope: Scope) -> None:
        """``depth(n)`` of a family, ``count(Op)`` of an operation."""
        first = expr.args[0].value if expr.args else None
        if isinstance(first, ast.Field) and (name in ALPHA_QUANTITIES or name == "count"):
            self.expressions.check(first, scope, Place.OPERATION)
        if not isinstance(first, ast.Name):
            return
        if name in FAMILY_QUANTITIES and first.id not in scope.families:
            if first.id in scope.later:
                self.names.too_early(first, scope.later[first.id])
            else:
                message = f"'{name}' needs a family of this body, and '{first.id}' is none"
                self.report.error(Code.QUANTITY, first.span, message, suggest(first.id, scope.families))
        elif name in ALPHA_QUANTITIES and not any(first.id in unit.names for unit in self.names.reachable):
            self.names.unknown(first, scope, Place.VALUE)
        elif name == "count" and not any(first.id in unit.names for unit in self.names.reachable):
            self.names.unknown(first, scope, Place.OPERATION)

    def of_section(self, expr: ast.Expr, scope: Scope) -> None:
        """The quantity of a preference in a section, which is about the whole network: families belong to bodies."""
        for node in expr.walk():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAMILY_QUANTITIES:
                hint = "write it in the body that defines the family"
                message = f"'{node.func.id}' needs a family, and a section has none"
                self.report.error(Code.QUANTITY, node.span, message, hint)
                return
        self.quantity(expr, scope)
