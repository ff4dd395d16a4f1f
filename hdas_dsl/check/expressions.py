"""Expressions: names, fields, calls and numbers, each in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import DIMENSIONS

from .calls import check_arguments, check_builtin, named_arguments
from .names import Names
from .report import Report
from .scope import Place, Scope

LARGEST = 2**53
"""Numbers beyond this are not exact everywhere."""

LONGEST = 40
"""Characters of a number; longer ones are not worth computing."""


@dataclass(frozen=True)
class Expressions:
    """The check of expressions in one file."""

    names: Names
    report: Report

    def check_all(self, exprs: Iterable[ast.Expr], scope: Scope) -> None:
        """Values, each by itself."""
        for expr in exprs:
            self.check(expr, scope)

    def check(self, expr: ast.Expr | ast.Range, scope: Scope, place: Place = Place.VALUE) -> None:  # noqa: C901 (a table)
        """An expression that stands at this place."""
        match expr:
            case ast.Name():
                self.names.check(expr, scope, place)
            case ast.Number():
                self.number(expr)
            case ast.Field():
                self._field(expr, scope)
            case ast.Call():
                self._call(expr, scope, place, fed=False)
            case ast.Pipe():
                self._pipe(expr, scope, place)
            case ast.Copy():
                self.check(expr.base, scope, Place.OPERATION if place is Place.VALUE else place)
                if not isinstance(expr.label, ast.Name):
                    self.check(expr.label, scope)
            case ast.Earlier():
                self._earlier(expr, scope)
            case ast.If():
                self.check(expr.cond, scope)
                self.check(expr.then, scope, place)
                self.check(expr.orelse, scope, place)
            case ast.Choice():
                self._choice(expr, scope, place)
            case _:
                for child in expr.children():
                    if isinstance(child, ast.Expr | ast.Range):
                        self.check(child, scope)

    # ------------------------------------------------------------ numbers

    def numbers(self, node: ast.Node) -> None:
        """Only the numbers in a node whose names mean something else, such as a setting."""
        for part in node.walk():
            if isinstance(part, ast.Number):
                self.number(part)

    def number(self, expr: ast.Number) -> None:
        """A number that is not too large."""
        if len(expr.text) > LONGEST or not abs(expr.value) <= LARGEST:
            self.report.error(Code.RANGE, expr.span, "this number is too large")

    # ------------------------------------------------------------ forms

    def _pipe(self, expr: ast.Pipe, scope: Scope, place: Place) -> None:
        self.check(expr.stages[0], scope, place)
        for stage in expr.stages[1:]:
            if isinstance(stage, ast.Call):
                self._call(stage, scope, Place.OPERATION, fed=True)
            else:
                self.check(stage, scope, Place.OPERATION)

    def _choice(self, expr: ast.Choice, scope: Scope, place: Place) -> None:
        values = [item.value for item in expr.items]
        if any(isinstance(value, ast.Number | ast.Dots) for value in values):
            place = Place.VALUE
        elif any(self.names.definition(value, scope) for value in values if not isinstance(value, ast.Dots)):
            place = Place.OPERATION
        for item in expr.items:
            if not isinstance(item.value, ast.Dots):
                self.check(item.value, scope, place)
            if item.guard is not None:
                self.check(item.guard, scope)

    def _earlier(self, expr: ast.Earlier, scope: Scope) -> None:
        if scope.element != expr.family:
            message = f"`earlier {expr.family}` stands only in a line of '{expr.family}'"
            hint = suggest(expr.family, [scope.element]) if scope.element else None
            self.report.error(Code.NOT_EARLIER, expr.span, message, hint)

    def _field(self, expr: ast.Field, scope: Scope) -> None:
        base = expr.base
        if not isinstance(base, ast.Name) or base.id in scope.local:
            self.check(base, scope)
        elif base.id in scope.lines:
            if base.id in scope.tensors and expr.name not in DIMENSIONS:
                hint = f"it has {', '.join(DIMENSIONS)}"
                self.report.error(Code.SHAPE, expr.ident.span, f"a tensor has no '{expr.name}'", hint)
        elif base.id in scope.phases:
            units = self.names.reachable
            if not any(expr.name in unit.names for unit in units):
                known = {name for unit in units for name in unit.names}
                message = f"phase '{base.id}' can find no '{expr.name}'"
                self.report.error(Code.PHASE, expr.ident.span, message, suggest(expr.name, known))
        elif self.names.is_alias(base.id) and not scope.binds(base.id):
            used = self.names.aliased(base.id)
            if used is not None and expr.name not in used.names:
                self.names.undefined(expr, used)
        else:
            self.check(base, scope)

    def _call(self, expr: ast.Call, scope: Scope, place: Place, *, fed: bool) -> None:
        """A call; ``fed`` when its inputs come from the left of a pipe."""
        self.check(expr.func, scope, Place.OPERATION if place is Place.VALUE else place)
        named = named_arguments(expr, self.report)
        for arg in expr.args:
            self.check(arg.value.bundle if isinstance(arg.value, ast.Each) else arg.value, scope)
        positional = [arg for arg in expr.args if arg.ident is None]
        definition = self.names.definition(expr.func, scope)
        if isinstance(definition, ast.OpDef | ast.GraphDef):
            section = place is Place.NETWORK
            check_arguments(definition, positional, named, self.report, fed=fed, section=section)
        elif definition is None and isinstance(expr.func, ast.Name) and self.names.is_builtin(expr.func.id, scope):
            check_builtin(expr, expr.func.id, positional, named, self.report)
