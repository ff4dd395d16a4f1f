"""Resolution of the names of a file: definitions here, in used files or in the prelude."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hdas_dsl.text.diagnostics import Code, suggest, suggest_or_list
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, QUANTITIES, TOTALS, WORDS, element_of
from hdas_dsl.units import LIBRARY, Unit

from .report import Report
from .scope import Place, Scope

NO_INPUTS = "a choice has no inputs of its own; an operation has: write `op item(x) = ...` and name it here"
"""The hint at an unknown name in a named choice."""

COSTS = {
    **dict.fromkeys(("flops", "flop", "madds", "mult_adds", "multiply_adds"), "macs"),
    **dict.fromkeys(("size", "weights", "parameters"), "params"),
    **dict.fromkeys(("time", "ms", "milliseconds", "speed"), 'latency("table.csv")'),
    **dict.fromkeys(("ram", "bytes", "activations"), "memory"),
}
"""Other names of costs, by what the language calls them."""


@dataclass(frozen=True)
class Names:
    """The names of one file, looked up without elaborating it."""

    unit: Unit
    report: Report
    ambiguous: set[str] = field(default_factory=set)
    """Names that several used files define, reported once each."""

    @cached_property
    def incomplete(self) -> bool:
        """Whether a file could not be read whose names would be visible here: then no name is certainly unknown."""
        return any(used is None and use.alias is None for use, used in self.unit.imports)

    @cached_property
    def reachable(self) -> list[Unit]:
        """The file, all that it uses, directly or not, and the prelude."""
        found = self.unit.all_used()
        prelude = self.unit.prelude
        return [*found, *([prelude] if prelude is not None and prelude not in found else [])]

    # ------------------------------------------------------------ files

    def is_alias(self, name: str) -> bool:
        """Whether a name stands for a used file."""
        return name not in self.unit.names and any(use.alias == name for use in self.unit.module.uses)

    def aliased(self, name: str) -> Unit | None:
        """The file that an alias stands for; None if it could not be read."""
        return next(used for use, used in self.unit.imports if use.alias == name)

    def defining_unit(self, name: str, span: Span | None = None) -> Unit | None:
        """The file that defines a bare name or has it as an alias; the first of several, which is an error at ``span``.

        Returns:
            None where nothing defines the name.
        """
        if name in self.unit.names or self.is_alias(name):
            return self.unit
        found: list[tuple[ast.Use, Unit]] = []
        for use, used in self.unit.imports:
            if used is None or use.alias is not None or name not in used.names:
                continue
            if not any(used is other and use.replace == before.replace for before, other in found):
                found.append((use, used))
        if len(found) > 1 and span is not None and name not in self.ambiguous:
            self.ambiguous.add(name)
            self._ambiguous(name, span, found[0][0], found[1][0])
        if found:
            return found[0][1]
        prelude = self.unit.prelude
        return prelude if prelude is not None and name in prelude.names else None

    def _ambiguous(self, name: str, span: Span, first: ast.Use, second: ast.Use) -> None:
        same = first.path == second.path
        files = f"two uses of '{first.path}'" if same else f"'{first.path}' and '{second.path}'"
        hint = f'give one a name: `use "{second.path}" as ...`'
        other = (second.span, "the second of them")
        self.report.error(Code.AMBIGUOUS, span, f"'{name}' is defined by {files}", hint, other)

    # ------------------------------------------------------------ definitions

    def definition(self, expr: ast.Expr, scope: Scope) -> ast.Definition | None:
        """The definition that an expression names; None if that is not known without elaborating."""
        match expr:
            case ast.Name(id=name) if not (scope.binds(name) or name in scope.phases or self.is_replaced(name)):
                unit = self.defining_unit(name)
                return _plain_definition(unit, name) if unit is not None else None
            case ast.Field(base=ast.Name(id=base), name=name) if not scope.binds(base) and base not in scope.phases:
                used = self.aliased(base) if self.is_alias(base) and not self.is_replaced(name) else None
                return _plain_definition(used, name) if used is not None else None
            case ast.Copy(base=base):
                return self.definition(base, scope)
        return None

    def is_replaced(self, name: str) -> bool:
        """Whether a `use` replaces the definition of this name."""
        return any(binding.target.name == name for use in self.unit.module.uses for binding in use.replace)

    def is_builtin(self, name: str, scope: Scope) -> bool:
        """Whether a name stands for a function of the language."""
        return name in BUILTINS and not scope.binds(name) and self.defining_unit(name) is None

    # ------------------------------------------------------------ mentions

    def check(self, expr: ast.Name, scope: Scope, place: Place) -> None:
        """A name in an expression: it is defined, and before its use."""
        name = expr.id
        if scope.binds(name) or name in WORDS or name in scope.phases or (scope.quantities and name in QUANTITIES):
            return
        if self.defining_unit(name, expr.span) is not None or name in BUILTINS:
            return
        defined = scope.later.get(name)
        element = element_of(name)
        if defined is None and element is not None:
            defined = scope.later.get(f"{element[0]}[]")
        if defined is not None:
            self.too_early(expr, defined)
        elif not self.incomplete:
            self.unknown(expr, scope, place)

    def too_early(self, expr: ast.Name, defined: Span) -> None:
        """The error of a name that is defined further on."""
        message = f"'{expr.id}' is used before it is defined"
        self.report.error(Code.TOO_EARLY, expr.span, message, None, (defined, "defined here"))

    def unknown(self, expr: ast.Name, scope: Scope, place: Place) -> None:
        """The error of a name that nothing defines."""
        words = () if place is Place.NETWORK else (*WORDS, *BUILTINS)
        known = [*scope.names(), *self.unit.visible(), *words, *(QUANTITIES if scope.quantities else ())]
        cost = COSTS.get(expr.id.lower()) if scope.quantities else None
        hint = self._elsewhere(expr.id) or (cost and f"did you mean `{cost}`?") or suggest(expr.id, known)
        if hint is None and scope.quantities:
            hint = f"quantities are {', '.join(TOTALS)}"
        if hint is None and scope.menu and place is Place.VALUE:
            hint = NO_INPUTS
        self.report.error(Code.UNKNOWN_NAME, expr.span, f"unknown {place.value} '{expr.id}'", hint)

    def undefined(self, expr: ast.Field, used: Unit) -> None:
        """The error of a name that a used file does not define."""
        here = f"write `{expr.name}`" if self.defining_unit(expr.name) is not None else None
        hint = here or self._further(expr.name, used) or suggest_or_list(expr.name, used.names)
        message = f"'{used.source.name}' defines no '{expr.name}'"
        self.report.error(Code.UNKNOWN_NAME, expr.ident.span, message, hint)

    def _elsewhere(self, name: str) -> str | None:
        """How to refer to a name that is defined in a used file but not visible by itself."""
        if self.is_alias(name):
            return f"it is a file: write `{name}.` and a name of it"
        for use, used in self.unit.imports:
            if used is not None and use.alias is not None and name in used.names:
                return f"write `{use.alias}.{name}`"
        further = (self._further(name, used) for _, used in self.unit.imports if used is not None)
        return next(filter(None, further), None)

    def _further(self, name: str, used: Unit) -> str | None:
        """How to use what a used file uses in its turn: a file of that alias, or one that defines the name."""
        for use, further in used.imports:
            if further is not None and (use.alias == name or name in further.names):
                path, alias = self._path(further) or use.path, f" as {use.alias}" if use.alias else ""
                return f'what a file uses is not its own: write `use "{path}"{alias}` here too'
        return None

    def _path(self, other: Unit) -> str | None:
        """The path by which this file would use another one; None where that is not known."""
        if other.path is None or self.unit.path is None:
            return None
        if other.path.is_relative_to(LIBRARY) and not self.unit.path.is_relative_to(LIBRARY):
            return other.path.relative_to(LIBRARY).as_posix()
        return Path(os.path.relpath(other.path, self.unit.path.parent)).as_posix()


def _plain_definition(unit: Unit, name: str) -> ast.Definition | None:
    definitions = unit.names.get(name, ())
    return next((d for d in definitions if not isinstance(d, ast.GraphDef) or str(d.copy) == name), None)
