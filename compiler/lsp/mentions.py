"""Names and what they refer to: definitions, parameters, lines, files, phases, methods."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from compiler.program.methods import LIBRARY
from hdas_dsl.files import Loader
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_of
from hdas_dsl.units import Unit

Meaning: TypeAlias = ast.Definition | ast.Param | ast.Binding | ast.Dim | ast.Phase | ast.Method | ast.Use
"""The syntax that a name refers to."""


OF_ITEMS = ("beside", "dropout")
"""Settings whose word is an item of a menu."""

QUOTING = ("until", "align")
"""Settings whose word names items or cells in quotes."""


@dataclass(frozen=True)
class Target:
    """The definition that a name refers to: its place in a file."""

    unit: Unit
    span: Span
    meaning: Meaning

    @property
    def key(self) -> tuple[int, int]:
        """A key that all mentions of the same definition share."""
        return id(self.unit), self.span.start

    @property
    def name(self) -> str:
        """The name as it is written where it is defined."""
        return self.span.text


@dataclass(frozen=True)
class Mention:
    """A place of a text that refers to a definition, or is its name in the definition itself."""

    span: Span
    target: Target


Names: TypeAlias = Mapping[str, Target]


def mentions_of(unit: Unit, loader: Loader) -> tuple[Mention, ...]:
    """Every mention in a file, in the order of their places."""
    return tuple(sorted(_Reader(unit, loader).module(), key=lambda item: item.span.start))


def mention_at(mentions: Iterable[Mention], offset: int) -> Mention | None:
    """The mention at a place, also right behind its end."""
    return next((item for item in mentions if item.span.start <= offset <= item.span.end), None)


def defined(unit: Unit, name: str) -> Target | None:
    """The definition of a bare name in a file, wherever it is; None where there is none."""
    for origin, _ in unit.origins(name)[:1]:
        found = origin.names[name][0]
        return Target(origin, found.ident.span, found)
    return None


def aliases(unit: Unit) -> dict[str, tuple[Target, Unit | None]]:
    """The files that are used by a name."""
    return {
        use.alias: (Target(unit, use.ident.span, use), used)
        for use, used in unit.imports
        if use.alias is not None and use.ident is not None
    }


@dataclass(frozen=True)
class _Reader:
    """Reads the mentions of one file."""

    unit: Unit
    loader: Loader

    def module(self) -> Iterator[Mention]:
        """All mentions, section by section."""
        phases = {
            line.name: Target(self.unit, line.ident.span, line)
            for search in self.unit.module.searches
            for line in search.settings
            if isinstance(line, ast.Phase)
        }
        for line in self.unit.module.lines:
            match line:
                case ast.Use():
                    yield from self._use(line)
                case ast.OpDef() | ast.GraphDef() | ast.MenuDef():
                    yield from self._definition(line)
                case ast.Search() | ast.Train():
                    if line.target is not None:
                        yield from self._expression(line.target, phases)
                    if isinstance(line, ast.Search) and line.method is not None:
                        yield from self._method(line.method)
                    yield from self._section(line.settings, phases)
                case ast.Method():
                    yield self._own(line.ident, line)

    def _own(self, ident: ast.Ident, meaning: Meaning) -> Mention:
        return Mention(ident.span, Target(self.unit, ident.span, meaning))

    def _use(self, use: ast.Use) -> Iterator[Mention]:
        if use.ident is not None:
            yield self._own(use.ident, use)
        used = next((unit for known, unit in self.unit.imports if known is use), None)
        for binding in use.replace:
            if used is not None and (found := defined(used, binding.target.name)) is not None:
                yield Mention(binding.target.ident.span, found)
            yield from self._expression(binding.value, {})

    def _method(self, ident: ast.Ident) -> Iterator[Mention]:
        shipped = self.loader.shipped(LIBRARY)
        for unit in (self.unit, *(used for _, used in self.unit.imports), shipped):
            if unit is None:
                continue
            found = next((method for method in unit.module.methods if method.name == ident.name), None)
            if found is not None:
                yield Mention(ident.span, Target(unit, found.ident.span, found))
                return

    def _section(self, lines: Iterable[ast.SettingLine], phases: Names) -> Iterator[Mention]:
        for line in lines:
            match line:
                case ast.Phase():
                    yield self._own(line.ident, line)
                    yield from self._expression(line.target, phases)
                    yield from self._section(line.settings, phases)
                case ast.Require() | ast.Preference():
                    for child in line.children():
                        yield from self._expression(child, phases)
                case ast.Setting(name=name, value=ast.Call(func=func)) if name in OF_ITEMS:
                    yield from self._expression(func, {})
                case ast.Setting(name=name, value=ast.Call(args=args)) if name in QUOTING:
                    for arg in args:
                        if isinstance(arg.value, ast.String):
                            yield from self._quoted(arg.value)

    def _quoted(self, text: ast.String) -> Iterator[Mention]:
        """An item or a cell in quotes: `"skip"`, `"nb.skip"`, `"conv(3)"`; of another file also without its name."""
        called, _, _ = text.value.partition("(")
        base, _, name = called.rpartition(".")
        inside = Span(text.span.source, text.span.start + 1, text.span.end - 1)
        known = aliases(self.unit)
        units = [used for alias, (_, used) in known.items() if used is not None and base in ("", alias)]
        if base in known:
            yield Mention(inside.head(len(base)), known[base][0])
        found = None if base else defined(self.unit, name)
        found = found or next((defined(unit, name) for unit in units if name in unit.names), None)
        if found is not None:
            end = inside.start + len(called)
            yield Mention(Span(inside.source, end - len(name), end), found)

    # ------------------------------------------------------------ definitions

    def _definition(self, line: ast.Definition) -> Iterator[Mention]:
        first = self.unit.names[line.name][0]
        yield Mention(line.ident.span, Target(self.unit, first.ident.span, first))
        params = (*(() if isinstance(line, ast.MenuDef) else line.inputs), *line.params)
        names = {param.name: Target(self.unit, param.ident.span, param) for param in params}
        for param in params:
            yield self._own(param.ident, param)
            for expr in (*(param.shape or ()), *(() if param.default is None else (param.default,))):
                yield from self._expression(expr, names)
        match line:
            case ast.MenuDef(value=value):
                yield from self._expression(value, names)
            case ast.OpDef(body=ast.Block(lines=lines)) | ast.GraphDef(body=ast.Block(lines=lines)):
                yield from self._body(lines, names)
            case ast.OpDef(body=body, shape=shape):
                for part in (*(shape or ()), *(() if isinstance(body, ast.External | ast.Block) else (body,))):
                    yield from self._expression(part, names)

    def _body(self, lines: Iterable[ast.BodyLine], names: Names) -> Iterator[Mention]:
        bound: dict[str, Target] = {}
        for line in lines:
            if isinstance(line, ast.Binding):
                bound.setdefault(line.target.name, Target(self.unit, line.target.ident.span, line))
        inside: Names = ChainMap(bound, dict(names))
        for line in lines:
            match line:
                case ast.Binding():
                    yield Mention(line.target.ident.span, bound[line.target.name])
                    yield from self._binding(line, inside)
                case ast.Comment():
                    continue
                case _:
                    for child in line.children():
                        yield from self._expression(child, inside)

    def _binding(self, line: ast.Binding, names: Names) -> Iterator[Mention]:
        here: dict[str, Target] = {}
        for dim in line.target.dims:
            here[dim.index] = Target(self.unit, dim.ident.span, dim)
            yield self._own(dim.ident, dim)
            yield from self._expression(dim.size, ChainMap(here, dict(names)))
        for part in line.where:
            for ident in part.target.idents:
                here[ident.name] = Target(self.unit, ident.span, part)
                yield self._own(ident, part)
        inside: Names = ChainMap(here, dict(names))
        for part in line.where:
            yield from self._expression(part.value, inside)
        yield from self._expression(line.value, inside)

    # ------------------------------------------------------------ expressions

    def _expression(self, node: ast.Node, names: Names) -> Iterator[Mention]:
        match node:
            case ast.Name(id=name):
                yield from self._name(name, node.span, names)
            case ast.Earlier(ident=ident) if ident.name in names:
                yield Mention(ident.span, names[ident.name])
            case ast.Field(base=ast.Name(id=base), ident=ident) if base not in names and base in aliases(self.unit):
                target, used = aliases(self.unit)[base]
                yield Mention(node.base.span, target)
                if used is not None and (found := defined(used, ident.name)) is not None:
                    yield Mention(ident.span, found)
            case ast.Call(func=func, args=args):
                yield from self._expression(func, names)
                for arg in args:
                    yield from self._argument(arg, func, names)
            case _:
                for child in node.children():
                    yield from self._expression(child, names)

    def _argument(self, arg: ast.Arg, func: ast.Expr, names: Names) -> Iterator[Mention]:
        called = called_by(func, self.unit)
        if arg.ident is not None and called is not None:
            unit, definition = called
            for param in definition.params:
                if param.name == arg.name:
                    yield Mention(arg.ident.span, Target(unit, param.ident.span, param))
        yield from self._expression(arg.value, names)

    def _name(self, name: str, span: Span, names: Names) -> Iterator[Mention]:
        if name in names:
            yield Mention(span, names[name])
        elif (found := defined(self.unit, name)) is not None:
            yield Mention(span, found)
        elif name in aliases(self.unit):
            yield Mention(span, aliases(self.unit)[name][0])
        elif (element := element_of(name)) is not None and element[0] in names:
            yield Mention(span.head(len(element[0])), names[element[0]])


def called_by(func: ast.Expr, unit: Unit) -> tuple[Unit, ast.Definition] | None:
    """The definition that a call refers to, with its file; None where its function is an expression of another kind."""
    match func:
        case ast.Name(id=name):
            found = defined(unit, name)
        case ast.Field(base=ast.Name(id=base), ident=ident) if base in aliases(unit):
            used = aliases(unit)[base][1]
            found = None if used is None else defined(used, ident.name)
        case ast.Copy(base=base):
            return called_by(base, unit)
        case _:
            return None
    if found is None or not isinstance(found.meaning, ast.OpDef | ast.GraphDef | ast.MenuDef):
        return None
    return found.unit, found.meaning


def signature(definition: ast.Definition) -> str:
    """The head of a definition as it is written, on one line: its name and parameters, without its body."""
    text = definition.span.text
    end = len(text)
    for sign in (" = ", " {", "\n  ="):
        depth = 0
        for at, char in enumerate(text):
            depth += (char in "([") - (char in ")]")
            if not depth and text.startswith(sign, at):
                end = min(end, at)
                break
    return " ".join(text[:end].split())
