"""Bodies of definitions: lines in order, families and their elements, one output."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_of

from .expressions import Expressions
from .quantities import Quantities
from .report import Report
from .scope import Family, Scope, defined_names


@dataclass(frozen=True)
class Bodies:
    """The check of bodies in one file."""

    expressions: Expressions
    quantities: Quantities
    report: Report

    def check(self, definition: ast.OpDef | ast.GraphDef, block: ast.Block, scope: Scope) -> None:
        """The body of a definition whose inputs and parameters are in the scope; its lines are added there."""
        scope.later = defined_names(block)
        ends: dict[str, Span] = {}
        for line in block.lines:
            match line:
                case ast.Binding():
                    self._binding(line, scope)
                case ast.Output():
                    self.report.define(ends, "output", line.span, "a definition has one output")
                    self.expressions.check(line.value, scope)
                case ast.Aux():
                    self.report.define(ends, "aux", line.span, "a network has one auxiliary output")
                    if not isinstance(definition, ast.GraphDef) or definition.level is not ast.Level.NETWORK:
                        self.report.error(Code.KIND, line.span, "`aux` stands in a network only")
                    self.expressions.check(line.value, scope)
                case ast.Require() | ast.Preference():
                    self.quantities.statement(line, scope)
        if "output" not in ends:
            message = f"'{definition.title}' has no output"
            self.report.error(Code.NO_OUTPUT, definition.name_span, message, "end it with a line `output ...`")

    def _binding(self, line: ast.Binding, scope: Scope) -> None:
        ident, dims = line.target.ident, line.target.dims
        element = element_of(ident.name)
        inner = replace(scope, local={}, element=element[0] if element else None)
        if dims:
            self._family(ident, dims, scope)
            inner.element = ident.name
            for dim in dims:
                self.expressions.check(dim.size, replace(inner, element=None))
                self.report.define(inner.local, dim.index, dim.ident.span, f"two indices '{dim.index}'")
        self._where(line, scope, inner)
        self.expressions.check(line.value, inner)
        if not dims:
            self._line(ident, scope)

    def _where(self, line: ast.Binding, scope: Scope, inner: Scope) -> None:
        """The names behind a `where`, each of which sees those before it."""
        later: dict[str, Span] = dict(inner.local)
        for local in line.where:
            for ident in local.target.idents:
                self.report.define(later, ident.name, ident.span, f"'{ident.name}' is already defined in this line")
        inner.later = {**scope.later, **later} if line.where else scope.later
        for local in line.where:
            self.expressions.check(local.value, inner)
            inner.local.update((ident.name, ident.span) for ident in local.target.idents)

    # ------------------------------------------------------------ names of lines

    def _family(self, ident: ast.Ident, dims: tuple[ast.Dim, ...], scope: Scope) -> None:
        """A line that defines a family."""
        name = ident.name
        if (other := element_of(name)) is not None:
            message = f"'{name}' is an element of '{other[0]}', so that elements of its own would have names of others"
            self.report.error(Code.AMBIGUOUS, ident.span, message, "a family has a name that ends in no digit")
        sizes = tuple(_plain(dim.size) for dim in dims)
        known = scope.families.get(name)
        before = scope.lines.get(name) or (known.span if known and known.sizes is not None else None)
        if before is not None:
            self._duplicate(f"'{name}' is already defined", ident.span, before)
            return
        family = Family(ident.span, sizes, known.elements if known else {})
        for index, place in family.elements.items():
            if family.has(index):
                message = f"'{name}' has an element {_shown(index)} of its own"
                self.report.error(Code.DUPLICATE, ident.span, message, None, (place, "defined here"))
                break
        scope.families[name] = family

    def _line(self, ident: ast.Ident, scope: Scope) -> None:
        """A line that defines one name, which may be that of an element."""
        name, span = ident.name, ident.span
        before = scope.lines.get(name)
        if before is None and name in scope.families and scope.families[name].sizes is not None:
            before = scope.families[name].span
        if before is not None:
            self._duplicate(f"'{name}' is already defined", span, before)
            return
        scope.lines[name] = span
        element = element_of(name)
        if element is None:
            return
        base, index = element
        family = scope.families.setdefault(base, Family(span))
        if family.has(index) or index in family.elements:
            message = f"'{name}' is already defined: it is {base}[{_shown(index)}]"
            self._duplicate(message, span, family.elements.get(index, family.span))
        family.elements[index] = span

    def _duplicate(self, message: str, span: Span, first: Span) -> None:
        self.report.error(Code.DUPLICATE, span, message, None, (first, "first here"))


def _plain(expr: ast.Expr) -> int | None:
    if isinstance(expr, ast.Number) and len(expr.text) < 10 and isinstance(expr.value, int):
        return expr.value
    return None


def _shown(index: tuple[int, ...]) -> str:
    return ", ".join(map(str, index))
