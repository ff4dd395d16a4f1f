"""Sections: `search` with its phases, `train`, `equivalence` and `provenance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .expressions import Expressions
from .names import Names
from .quantities import Quantities
from .report import Report
from .scope import Place, Scope


@dataclass(frozen=True)
class Sections:
    """The check of the sections of one file."""

    expressions: Expressions
    quantities: Quantities
    names: Names
    report: Report

    def check(self) -> None:
        """All sections; a `train` may name the phases of a `search` anywhere in the file."""
        phases: dict[str, ast.Phase] = {}
        titles: dict[str, Span] = {}
        lines = self.names.unit.module.lines
        for line in lines:
            if isinstance(line, ast.Search):
                self._section(line, "search", line.target, titles, {})
                self._phases(line, phases)
        for line in lines:
            if isinstance(line, ast.Train):
                self._section(line, "train", line.target, titles, phases)
            elif isinstance(line, ast.Equivalence | ast.Method):
                word = type(line).__name__.lower()
                message = f"there are two {word}s '{line.name}'"
                self.report.define(titles, f"{word} {line.name}", line.span.head(len(word)), message)
                self._settings(line.settings)
            elif isinstance(line, ast.Provenance):
                self._section(line, "provenance", None, titles, {})

    def _section(
        self,
        line: ast.Search | ast.Train | ast.Provenance,
        word: str,
        target: ast.Expr | None,
        titles: dict[str, Span],
        phases: Mapping[str, ast.Phase],
    ) -> None:
        """One section that is called ``word``, of its target; ``titles`` are the sections so far."""
        of = "" if target is None else f" of '{_func(target).span.text}'"
        keyword = line.span.head(len(word))
        span = keyword if target is None else keyword.to(target.span)
        self.report.define(titles, f"{word}{of}", span, f"there are two {word} sections{of}")
        if target is not None:
            self._target(target, phases)
        self._settings(line.settings, Scope(phases=phases))

    def _settings(self, lines: Sequence[ast.SettingLine], scope: Scope | None = None) -> None:
        """The lines of a section, whose statements see the results of phases of a scope."""
        scope = scope or Scope()
        found: dict[str, Span] = {}
        for line in lines:
            match line:
                case ast.Setting(name=name):
                    self.report.define(found, name, line.ident.span, f"'{name}' is already set")
                    self.expressions.numbers(line.value)
                case ast.Preference():
                    self.expressions.numbers(line)
                    self.quantities.of_section(line.quantity, scope)
                case ast.Require():
                    self.quantities.statement(line, scope)

    def _phases(self, search: ast.Search, phases: dict[str, ast.Phase]) -> None:
        """The phases of a search, each of which sees the results of those before it; they are added to ``phases``."""
        lines = [line for line in search.settings if isinstance(line, ast.Phase)]
        spans: dict[str, Span] = {}
        for line in lines:
            self.report.define(spans, line.name, line.ident.span, f"there are two phases '{line.name}'")
        if search.target is None and not lines:
            message = "this `search` names no network, and has no phases that do"
            self.report.error(Code.PHASE, search.span.head(len("search")), message, "write `search NET { ... }`")
        for line in lines:
            self._target(line.target, dict(phases), spans)
            self._settings(line.settings, Scope(phases=dict(phases), later=spans))
            phases.setdefault(line.name, line)

    def _target(self, expr: ast.Expr, phases: Mapping[str, ast.Phase], later: Mapping[str, Span] | None = None) -> None:
        """The network that a section or phase is about."""
        scope = Scope(phases=phases, later=later or {})
        func = _func(expr)
        self.expressions.check(expr, scope, Place.NETWORK)
        definition = self.names.definition(func, scope)
        if definition is None or (isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK):
            return
        message = f"'{func.span.text}' is {_kind(definition)}, not a network"
        self.report.error(Code.KIND, func.span, message, None, (definition.name_span, "defined here"))


def _func(target: ast.Expr) -> ast.Expr:
    return target.func if isinstance(target, ast.Call) else target


def _kind(definition: ast.Definition) -> str:
    match definition:
        case ast.GraphDef(level=level):
            return f"a {level.value}"
        case ast.MenuDef():
            return "a menu"
    return "an operation"
