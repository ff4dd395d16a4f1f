"""`use`: aliases and replacements."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.limits import MAX_REPLACEMENTS
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .expressions import Expressions
from .names import Names
from .report import Report
from .scope import Scope


@dataclass(frozen=True)
class Uses:
    """The check of the uses of one file."""

    expressions: Expressions
    names: Names
    report: Report

    def check(self) -> None:
        """All uses of the file."""
        aliases: dict[str, Span] = {}
        for use, used in self.names.unit.imports:
            if use.ident is not None:
                message = f"two files are called '{use.ident.name}'"
                self.report.define(aliases, use.ident.name, use.span, message)
            given: dict[str, Span] = {}
            for binding in use.replace:
                ident = binding.target.ident
                self.report.define(given, ident.name, ident.span, f"'{ident.name}' is replaced twice")
                if used is not None and not used.defines(ident.name):
                    message = f"'{use.path}' defines no '{ident.name}'"
                    self.report.error(Code.NO_REPLACEMENT, ident.span, message, suggest(ident.name, used.names))
                self.expressions.check(binding.value, Scope())
            if len(use.replace) <= MAX_REPLACEMENTS:  # more are refused where files are loaded
                self._cycles(use)

    def _cycles(self, use: ast.Use) -> None:
        """A replacement that leads back to itself has no end."""
        replacements = {binding.target.name: binding for binding in use.replace}
        leads = {name: self._mentioned(binding, use, replacements.keys()) for name, binding in replacements.items()}
        for name, binding in replacements.items():
            seen: set[str] = set()
            ahead = leads[name]
            while ahead - seen:
                seen |= ahead
                ahead = set().union(*(leads[further] for further in ahead))
            if name in seen:
                self.report.error(Code.NO_REPLACEMENT, binding.span, f"'{name}' would be replaced by itself")

    def _mentioned(self, binding: ast.Binding, use: ast.Use, replaced: Set[str]) -> set[str]:
        """The replaced names that the value of a replacement refers to."""
        if use.alias is None:
            found = {node.id for node in binding.value.walk() if isinstance(node, ast.Name)}
            return (found & replaced) - self.names.unit.names.keys()
        fields = (node for node in binding.value.walk() if isinstance(node, ast.Field))
        return {node.name for node in fields if node.base == ast.Name(use.alias)} & replaced
