"""Definitions: names that are defined once, signatures, and the form of each level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .bodies import Bodies
from .expressions import Expressions
from .names import Names
from .report import Report
from .scope import Place, Scope


@dataclass(frozen=True)
class Definitions:
    """The check of the definitions of one file."""

    bodies: Bodies
    expressions: Expressions
    names: Names
    report: Report

    def check(self) -> None:
        """All definitions, those that no network uses included."""
        self._duplicates()
        for definition in self.names.unit.module.definitions:
            match definition:
                case ast.OpDef():
                    self._operation(definition)
                case ast.MenuDef():
                    self._choice(definition)
                case ast.GraphDef():
                    self.bodies.check(definition, definition.body, self._signature(definition, definition.inputs))

    # ------------------------------------------------------------ names

    def _duplicates(self) -> None:
        """Two definitions of one name, here or here and in a used file."""
        aliases = {use.alias: use for use in self.names.unit.module.uses if use.alias is not None}
        for name, definitions in self.names.unit.names.items():
            first = definitions[0]
            titles: dict[str, Span] = {}
            for definition in definitions:
                title = definition.title
                if type(definition) is not type(first):
                    self._duplicate(definition, f"'{name}' is already defined", (first.name_span, "first here"))
                else:
                    self.report.define(titles, title, definition.name_span, f"'{title}' is already defined")
            if name in aliases:
                self._duplicate(first, f"'{name}' is already the name of a file", (aliases[name].span, "named here"))
            for use, used in self.names.unit.imports:
                if used is None or used is self.names.unit or use.alias is not None or name not in used.names:
                    continue
                message = f"'{name}' is also defined by '{use.path}'"
                hint = f'give one another name, or the file: `use "{use.path}" as ...`'
                self._duplicate(first, message, (used.names[name][0].name_span, "there"), hint)

    def _duplicate(
        self, definition: ast.Definition, message: str, other: tuple[Span, str], hint: str | None = None
    ) -> None:
        self.report.error(Code.DUPLICATE, definition.name_span, message, hint, other)

    # ------------------------------------------------------------ signatures

    def _signature(self, definition: ast.Definition, inputs: Sequence[ast.Param]) -> Scope:
        """The scope of a definition's body: defaults see the inputs and the parameters before them."""
        scope = Scope(tensors=frozenset(param.name for param in inputs))
        later: dict[str, Span] = {}
        for param in (*inputs, *definition.params):
            self.report.define(later, param.name, param.ident.span, f"there are two parameters '{param.name}'")
        scope.later = later
        network = isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK
        for param in inputs:
            self.expressions.check_all(param.shape or (), scope)
            self._input(param, inputs, network)
            scope.lines[param.name] = later[param.name]
        for param in definition.params:
            if param.shape is not None:
                message = f"'{param.name}' is a parameter, and only inputs have a shape"
                self.report.error(Code.SHAPE, param.span, message, "inputs stand in front of the ';'")
            if param.default is not None:
                self.expressions.check(param.default, scope)
            scope.lines[param.name] = later[param.name]
        return scope

    def _input(self, param: ast.Param, inputs: Sequence[ast.Param], network: bool) -> None:
        """An input: it has a shape exactly in a network, and never a value."""
        if network and param.shape is None and param.default is None:
            message = f"input '{param.name}' of a network needs a shape, such as [3, 32, 32]"
            self.report.error(Code.SHAPE, param.span, message)
        if not network and param.shape is not None:
            self.report.error(Code.SHAPE, param.span, "only the inputs of a network have a written shape")
        if param.default is not None:
            others = ", ".join(other.name for other in inputs if other is not param)
            hint = f"parameters stand behind a ';': ({others}; {param.span.text})"
            self.report.error(Code.ARGUMENT, param.span, f"input '{param.name}' cannot have a value", hint)

    # ------------------------------------------------------------ levels

    def _operation(self, definition: ast.OpDef) -> None:
        scope = self._signature(definition, definition.inputs)
        for node in definition.walk():
            if isinstance(node, ast.Choice | ast.Pick):
                hint = "decide outside and hand the decision over as a parameter"
                message = f"operation '{definition.name}' cannot hold a choice"
                self.report.error(Code.KIND, node.span, message, hint)
                break
        self.expressions.check_all(definition.shape or (), scope)
        if isinstance(definition.body, ast.Block):
            self.bodies.check(definition, definition.body, scope)
        elif not isinstance(definition.body, ast.External):
            self.expressions.check(definition.body, scope)

    def _choice(self, definition: ast.MenuDef) -> None:
        """A named choice, which may refer to itself with other arguments."""
        scope = self._signature(definition, ())
        scope.later, scope.menu = {}, True
        self.expressions.check(definition.value, scope, Place.OPERATION)
