"""What can be said about one file without elaborating it: names, duplicates, signatures, sections.

Every definition is checked, also those that no network uses. Nothing is reported that could be right in some network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from hdas_dsl.files import Unit
from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, DIMENSIONS, FAMILY_QUANTITIES, NUMERIC, QUANTITIES, WORDS, element_of

LARGEST = 2**53
"""Numbers beyond this are not exact everywhere."""


def check(unit: Unit) -> list[Diagnostic]:
    """Everything that is wrong with one file by itself, in source order."""
    checker = _Checker(unit)
    checker.module()
    return sorted(checker.report, key=lambda diagnostic: diagnostic.span.start)


def name_span(definition: ast.Definition) -> Span:
    """The place of a definition's name, label and owners included."""
    return definition.copy.span if isinstance(definition, ast.GraphDef) else definition.ident.span


class _Place(Enum):
    """Where a name stands; the value is what it should have been."""

    VALUE = "name"
    OPERATION = "operation"
    NETWORK = "network"


@dataclass
class _Family:
    """``span`` is the line that made it; ``sizes`` are its plain sizes, None where they are not plain."""

    span: Span
    sizes: tuple[int | None, ...] | None = None
    elements: dict[tuple[int, ...], Span] = field(default_factory=dict)

    def may_hold(self, index: tuple[int, ...]) -> bool:
        if self.sizes is None:
            return index in self.elements
        return len(index) == len(self.sizes)

    def holds(self, index: tuple[int, ...]) -> bool:
        """Whether a family of plain sizes certainly has this element."""
        sizes = self.sizes or ()
        return len(index) == len(sizes) and all(s is not None and i < s for i, s in zip(index, sizes, strict=True))


@dataclass
class _Scope:
    """What an expression sees besides the names of the file."""

    text: dict[str, Span] = field(default_factory=dict)
    families: dict[str, _Family] = field(default_factory=dict)
    later: Mapping[str, Span] = field(default_factory=dict)
    local: dict[str, Span] = field(default_factory=dict)
    tensors: frozenset[str] = frozenset()
    element: str | None = None
    quantities: bool = False
    phases: Mapping[str, ast.Phase] = field(default_factory=dict)

    def binds(self, name: str) -> bool:
        if name in self.local or name in self.text or name in self.families:
            return True
        found = element_of(name)
        return found is not None and found[0] in self.families and self.families[found[0]].may_hold(found[1])

    def names(self) -> Iterator[str]:
        yield from self.local
        yield from self.text
        yield from self.families
        yield from self.phases


_Signature: TypeAlias = "ast.OpDef | ast.GraphDef"


class _Checker:
    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.report: list[Diagnostic] = []
        self.ambiguous: set[str] = set()
        self.blind = any(used is None and use.alias is None for use, used in unit.imports)
        """Whether a file could not be read whose names would be visible here."""

    def wrong(
        self, code: Code, span: Span, message: str, hint: str | None = None, other: tuple[Span, str] | None = None
    ) -> None:
        self.report.append(Diagnostic(code, span, message, hint, other))

    def once(self, seen: dict[str, Span], name: str, span: Span, message: str) -> None:
        """Note where a name is defined, and report a second place."""
        if name in seen:
            self.wrong(Code.DUPLICATE, span, message, None, (seen[name], "first here"))
        else:
            seen[name] = span

    # ------------------------------------------------------------ the file

    def module(self) -> None:
        self.uses()
        self.definitions()
        for line in self.unit.module.lines:
            match line:
                case ast.OpDef():
                    self.operation(line)
                case ast.MenuDef():
                    self.menu(line)
                case ast.GraphDef():
                    self.graph(line)
        self.sections()

    def uses(self) -> None:
        aliases: dict[str, Span] = {}
        for use, used in self.unit.imports:
            if use.alias is not None:
                self.once(aliases, use.alias, use.span, f"two files are called '{use.alias}'")
            given: dict[str, Span] = {}
            for binding in use.replace:
                name = binding.target.name
                self.once(given, name, binding.target.span, f"'{name}' is replaced twice")
                if used is not None and not used.defines(name):
                    hint = suggest(name, used.names)
                    self.wrong(Code.NO_REPLACEMENT, binding.target.span, f"'{use.path}' defines no '{name}'", hint)
                self.expr(binding.value, _Scope())
            self.replacements(use)

    def replacements(self, use: ast.Use) -> None:
        """A replacement that leads back to itself has no end."""
        leads = {binding.target.name: binding for binding in use.replace}

        def named(binding: ast.Binding) -> set[str]:
            if use.alias is None:
                found = {node.id for node in binding.value.walk() if isinstance(node, ast.Name)}
                return (found & leads.keys()) - self.unit.names.keys()
            fields = (node for node in binding.value.walk() if isinstance(node, ast.Field))
            return {node.name for node in fields if node.base == ast.Name(use.alias)} & leads.keys()

        for name, binding in leads.items():
            seen: set[str] = set()
            ahead = named(binding)
            while ahead - seen:
                seen |= ahead
                ahead = {further for one in ahead for further in named(leads[one])}
            if name in seen:
                self.wrong(Code.NO_REPLACEMENT, binding.span, f"'{name}' would be replaced by itself")

    def definitions(self) -> None:
        """Two definitions of one name, here or here and in a used file."""
        aliases = {use.alias: use for use in self.unit.module.uses if use.alias is not None}
        for name, definitions in self.unit.names.items():
            first = definitions[0]
            copies: dict[str, Span] = {}
            for definition in definitions:
                span = name_span(definition)
                if definition is not first and type(definition) is not type(first):
                    self.wrong(
                        Code.DUPLICATE, span, f"'{name}' is already defined", None, (name_span(first), "first here")
                    )
                    continue
                title = str(definition.copy) if isinstance(definition, ast.GraphDef) else name
                self.once(copies, title, span, f"'{title}' is already defined")
            if name in aliases:
                message = f"'{name}' is already the name of a file"
                self.wrong(Code.DUPLICATE, name_span(first), message, None, (aliases[name].span, "named here"))
            for use, used in self.unit.imports:
                if used is None or used is self.unit or use.alias is not None or name not in used.names:
                    continue
                message = f"'{name}' is also defined by '{use.path}'"
                hint = f'give one another name, or the file: `use "{use.path}" as ...`'
                self.wrong(Code.DUPLICATE, name_span(first), message, hint, (name_span(used.names[name][0]), "there"))

    # ------------------------------------------------------------ definitions

    def signature(self, definition: ast.Definition, inputs: Sequence[ast.Param]) -> _Scope:
        """The scope of a definition's text: defaults see the inputs and the parameters before them."""
        scope = _Scope(tensors=frozenset(param.name for param in inputs))
        later: dict[str, Span] = {}
        for param in (*inputs, *definition.params):
            self.once(later, param.name, param.ident.span, f"there are two parameters '{param.name}'")
        scope.later = later
        network = isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK
        for param in inputs:
            self.exprs(param.shape or (), scope)
            if network and param.shape is None and param.default is None:
                message = f"input '{param.name}' of a network needs a shape, such as [3, 32, 32]"
                self.wrong(Code.SHAPE, param.span, message)
            if not network and param.shape is not None:
                self.wrong(Code.SHAPE, param.span, "only the inputs of a network have a written shape")
            if param.default is not None:
                hint = f"parameters stand behind a ';': ({', '.join(p.name for p in inputs if p is not param)}; "
                hint += f"{param.span.text})"
                self.wrong(Code.ARGUMENT, param.span, f"input '{param.name}' cannot have a value", hint)
            scope.text[param.name] = later[param.name]
        for param in definition.params:
            if param.shape is not None:
                message = f"'{param.name}' is a parameter, and only inputs have a shape"
                self.wrong(Code.SHAPE, param.span, message, "inputs stand in front of the ';'")
            if param.default is not None:
                self.expr(param.default, scope, _Place.VALUE)
            scope.text[param.name] = later[param.name]
        return scope

    def operation(self, definition: ast.OpDef) -> None:
        scope = self.signature(definition, definition.inputs)
        for node in definition.walk():
            if isinstance(node, ast.Choice | ast.Pick):
                hint = "decide outside and hand the decision over as a parameter"
                message = f"operation '{definition.name}' cannot hold a choice"
                self.wrong(Code.KIND, node.span, message, hint)
                break
        self.exprs(definition.shape or (), scope)
        if isinstance(definition.body, ast.Block):
            self.block(definition, definition.body, scope)
        elif not isinstance(definition.body, ast.External):
            self.expr(definition.body, scope)

    def menu(self, definition: ast.MenuDef) -> None:
        scope = self.signature(definition, ())
        scope.later = {}
        self.expr(definition.value, scope, _Place.OPERATION)

    def graph(self, definition: ast.GraphDef) -> None:
        self.block(definition, definition.body, self.signature(definition, definition.inputs))

    # ------------------------------------------------------------ texts

    def block(self, definition: ast.OpDef | ast.GraphDef, block: ast.Block, scope: _Scope) -> None:
        scope.later = _defined(block)
        once: dict[str, Span] = {}
        for line in block.lines:
            match line:
                case ast.Binding():
                    self.binding(line, scope)
                case ast.Output():
                    self.once(once, "output", line.span, "a definition has one output")
                    self.expr(line.value, scope)
                case ast.Aux():
                    self.once(once, "aux", line.span, "a network has one auxiliary output")
                    if not isinstance(definition, ast.GraphDef) or definition.level is not ast.Level.NETWORK:
                        self.wrong(Code.KIND, line.span, "`aux` stands in a network only")
                    self.expr(line.value, scope)
                case ast.Require() | ast.Preference():
                    self.statement(line, scope)
        if "output" not in once:
            title = definition.copy if isinstance(definition, ast.GraphDef) else definition.name
            message = f"'{title}' has no output"
            self.wrong(Code.NO_OUTPUT, name_span(definition), message, "end it with a line `output ...`")

    def binding(self, line: ast.Binding, scope: _Scope) -> None:
        name = line.target.name
        span = line.target.ident.span
        sizes: tuple[int | None, ...] | None = None
        element = element_of(name)
        inner = replace(scope, local={}, element=element[0] if element else None)
        if line.target.dims:
            sizes = tuple(_plain(dim.size) for dim in line.target.dims)
            self.family(name, span, sizes, scope)
            inner.element = name
            for dim in line.target.dims:
                self.expr(dim.size, replace(inner, element=None))
                self.once(inner.local, dim.index, dim.ident.span, f"two indices '{dim.index}'")
        later: dict[str, Span] = dict(inner.local)
        for local in line.where:
            for ident in local.target.idents:
                self.once(later, ident.name, ident.span, f"'{ident.name}' is already defined in this line")
        inner.later = {**scope.later, **later} if line.where else scope.later
        for local in line.where:
            self.expr(local.value, inner)
            inner.local.update((ident.name, ident.span) for ident in local.target.idents)
        self.expr(line.value, inner)
        if not line.target.dims:
            self.plain_line(name, span, element, scope)

    def family(self, name: str, span: Span, sizes: tuple[int | None, ...], scope: _Scope) -> None:
        known = scope.families.get(name)
        before = scope.text.get(name) or (known.span if known and known.sizes is not None else None)
        if before is not None:
            self.wrong(Code.DUPLICATE, span, f"'{name}' is already defined", None, (before, "first here"))
            return
        made = _Family(span, sizes, known.elements if known else {})
        for index, place in made.elements.items():
            if made.holds(index):
                message = f"'{name}' has an element {_shown(index)} of its own"
                self.wrong(Code.DUPLICATE, span, message, None, (place, "defined here"))
                break
        scope.families[name] = made

    def plain_line(self, name: str, span: Span, element: tuple[str, tuple[int, ...]] | None, scope: _Scope) -> None:
        before = scope.text.get(name)
        if before is None and name in scope.families and scope.families[name].sizes is not None:
            before = scope.families[name].span
        if before is not None:
            self.wrong(Code.DUPLICATE, span, f"'{name}' is already defined", None, (before, "first here"))
            return
        scope.text[name] = span
        if element is None:
            return
        family = scope.families.setdefault(element[0], _Family(span))
        if family.holds(element[1]) or element[1] in family.elements:
            place = family.elements.get(element[1], family.span)
            message = f"'{name}' is already defined: it is {element[0]}[{_shown(element[1])}]"
            self.wrong(Code.DUPLICATE, span, message, None, (place, "first here"))
        family.elements[element[1]] = span

    # ------------------------------------------------------------ quantities

    def statement(self, line: ast.Require | ast.Preference, scope: _Scope) -> None:
        if isinstance(line, ast.Require):
            self.expr(line.condition, replace(scope, quantities=True))
            return
        self.quantity(line.quantity, scope)
        if line.weight is not None:
            self.expr(line.weight, scope)

    def quantity(self, expr: ast.Expr, scope: _Scope) -> None:
        """What is preferred: arithmetic of quantities."""
        match expr:
            case ast.Binary():
                self.quantity(expr.left, scope)
                self.quantity(expr.right, scope)
            case ast.Call(func=ast.Name(id="log"), args=args):
                for arg in args:
                    self.quantity(arg.value, scope)
            case ast.Call(func=ast.Name(id=name)) if name in QUANTITIES:
                self.quantity_call(expr, name, scope)
            case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)) if name not in QUANTITIES:
                hint = suggest(name, QUANTITIES) or f"known: {', '.join(QUANTITIES)}"
                span = expr.func.span if isinstance(expr, ast.Call) else expr.span
                self.wrong(Code.QUANTITY, span, f"'{name}' is no quantity", hint)

    def quantity_call(self, expr: ast.Call, name: str, scope: _Scope) -> None:
        """``depth(n)`` of a family, ``count(Op)`` of an operation."""
        first = expr.args[0].value if expr.args else None
        if not isinstance(first, ast.Name):
            return
        if name in FAMILY_QUANTITIES and first.id not in scope.families:
            if first.id in scope.later:
                self.too_early(first, scope.later[first.id])
            else:
                message = f"'{name}' needs a family of this text, and '{first.id}' is none"
                self.wrong(Code.QUANTITY, first.span, message, suggest(first.id, scope.families))
        elif name == "count" and not any(first.id in unit.names for unit in _reachable(self.unit)):
            self.unknown(first, scope, _Place.OPERATION)

    # ------------------------------------------------------------ sections

    def sections(self) -> None:
        phases: dict[str, ast.Phase] = {}
        found: dict[str, Span] = {}
        lines = self.unit.module.lines
        for line in lines:
            if isinstance(line, ast.Search):
                self.section(line, "search", line.target, found, {})
                self.phases(line, phases)
        for line in lines:
            if isinstance(line, ast.Train):
                self.section(line, "train", line.target, found, phases)
            elif isinstance(line, ast.Equivalence):
                span = line.span.head(len("equivalence"))
                self.once(found, f"equivalence {line.name}", span, f"there are two equivalences '{line.name}'")
                self.settings(line.settings)
            elif isinstance(line, ast.Provenance):
                self.section(line, "provenance", None, found, {})

    def section(
        self,
        line: ast.Search | ast.Train | ast.Provenance,
        word: str,
        target: ast.Expr | None,
        found: dict[str, Span],
        phases: Mapping[str, ast.Phase],
    ) -> None:
        of = "" if target is None else f" of '{_called(target)}'"
        keyword = line.span.head(len(word))
        span = keyword if target is None else keyword.to(target.span)
        self.once(found, f"{word}{of}", span, f"there are two {word} sections{of}")
        if target is not None:
            self.target(target, phases)
        self.settings(line.settings)

    def settings(self, lines: Sequence[ast.SettingLine]) -> None:
        found: dict[str, Span] = {}
        for line in lines:
            match line:
                case ast.Setting(name=name):
                    self.once(found, name, line.ident.span, f"'{name}' is already set")
                    self.numbers(line.value)
                case ast.Preference():
                    self.numbers(line)
                    self.section_quantity(line.quantity)
                case ast.Require():
                    self.statement(line, _Scope())

    def section_quantity(self, expr: ast.Expr) -> None:
        """Families belong to texts: a section speaks of the network as a whole."""
        for node in expr.walk():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAMILY_QUANTITIES:
                hint = "say it in the text that has the family"
                self.wrong(Code.QUANTITY, node.span, f"'{node.func.id}' is about a family of a text", hint)
                return
        self.quantity(expr, _Scope())

    def phases(self, search: ast.Search, phases: dict[str, ast.Phase]) -> None:
        spans: dict[str, Span] = {}
        for line in search.settings:
            if isinstance(line, ast.Phase):
                self.once(spans, line.name, line.ident.span, f"there are two phases '{line.name}'")
        for line in search.settings:
            if not isinstance(line, ast.Phase):
                continue
            self.target(line.target, dict(phases), spans)
            self.settings(line.settings)
            phases.setdefault(line.name, line)

    def target(self, expr: ast.Expr, phases: Mapping[str, ast.Phase], later: Mapping[str, Span] | None = None) -> None:
        """The network that a section names."""
        scope = _Scope(phases=phases, later=later or {})
        func = expr.func if isinstance(expr, ast.Call) else expr
        self.expr(expr, scope, _Place.NETWORK)
        definition = self.definition(func, scope)
        if definition is not None and not (
            isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK
        ):
            message = f"'{func.span.text}' is {_kind(definition)}, not a network"
            self.wrong(Code.KIND, func.span, message, None, (name_span(definition), "defined here"))

    # ------------------------------------------------------------ expressions

    def exprs(self, exprs: Iterable[ast.Expr], scope: _Scope) -> None:
        for expr in exprs:
            self.expr(expr, scope)

    def numbers(self, node: ast.Node) -> None:
        for part in node.walk():
            if isinstance(part, ast.Number):
                self.number(part)

    def number(self, expr: ast.Number) -> None:
        if len(expr.text) > 40 or not abs(expr.value) <= LARGEST:
            self.wrong(Code.RANGE, expr.span, "this number is too large")

    def expr(self, expr: ast.Expr | ast.Range, scope: _Scope, place: _Place = _Place.VALUE) -> None:
        """Check an expression that stands at this place."""
        match expr:
            case ast.Name():
                self.name(expr, scope, place)
            case ast.Number():
                self.number(expr)
            case ast.Field():
                self.field(expr, scope)
            case ast.Call():
                self.call(expr, scope, place, fed=False)
            case ast.Pipe():
                self.expr(expr.stages[0], scope, place)
                for stage in expr.stages[1:]:
                    if isinstance(stage, ast.Call):
                        self.call(stage, scope, _Place.OPERATION, fed=True)
                    else:
                        self.expr(stage, scope, _Place.OPERATION)
            case ast.Copy():
                self.expr(expr.base, scope, _Place.OPERATION if place is _Place.VALUE else place)
                if not isinstance(expr.label, ast.Name):
                    self.expr(expr.label, scope)
            case ast.Earlier():
                self.earlier(expr, scope)
            case ast.If():
                self.expr(expr.cond, scope)
                self.expr(expr.then, scope, place)
                self.expr(expr.orelse, scope, place)
            case ast.Choice():
                self.choice(expr, scope, place)
            case _:
                for child in expr.children():
                    if not isinstance(child, ast.Ident):
                        self.expr(child, scope)  # type: ignore[arg-type]

    def choice(self, expr: ast.Choice, scope: _Scope, place: _Place) -> None:
        values = [item.value for item in expr.items]
        if any(isinstance(value, ast.Number | ast.Dots) for value in values):
            place = _Place.VALUE
        elif any(self.definition(value, scope) for value in values if not isinstance(value, ast.Dots)):
            place = _Place.OPERATION
        for item in expr.items:
            if not isinstance(item.value, ast.Dots):
                self.expr(item.value, scope, place)
            if item.guard is not None:
                self.expr(item.guard, scope)

    def earlier(self, expr: ast.Earlier, scope: _Scope) -> None:
        if scope.element != expr.family:
            message = f"`earlier {expr.family}` stands only in a line of '{expr.family}'"
            hint = suggest(expr.family, [scope.element]) if scope.element else None
            self.wrong(Code.NOT_EARLIER, expr.span, message, hint)

    def field(self, expr: ast.Field, scope: _Scope) -> None:
        base = expr.base
        if not isinstance(base, ast.Name) or base.id in scope.local:
            self.expr(base, scope)
            return
        span = expr.ident.span
        if base.id in scope.text:
            if base.id in scope.tensors and expr.name not in DIMENSIONS:
                hint = f"it has {', '.join(DIMENSIONS)}"
                self.wrong(Code.SHAPE, span, f"a tensor has no '{expr.name}'", hint)
        elif base.id in scope.phases:
            units = _reachable(self.unit)
            if not any(expr.name in unit.names for unit in units):
                known = {name for unit in units for name in unit.names}
                message = f"phase '{base.id}' can find no '{expr.name}'"
                self.wrong(Code.PHASE, span, message, suggest(expr.name, known))
        elif self.has_alias(base.id) and not scope.binds(base.id):
            used = self.aliased(base.id)
            if used is not None and expr.name not in used.names:
                message = f"'{used.source.name}' defines no '{expr.name}'"
                self.wrong(Code.UNKNOWN_NAME, span, message, suggest(expr.name, used.names))
        else:
            self.expr(base, scope)

    def call(self, expr: ast.Call, scope: _Scope, place: _Place, fed: bool) -> None:
        """A call; ``fed`` when its inputs come from the left of a pipe."""
        self.expr(expr.func, scope, _Place.OPERATION if place is _Place.VALUE else place)
        named: dict[str, Span] = {}
        for arg in expr.args:
            if arg.ident is not None:
                name, span = arg.ident.name, arg.ident.span
                if name in named:
                    self.wrong(Code.ARGUMENT, span, f"'{name}' is given twice", None, (named[name], "first here"))
                named[name] = span
            value = arg.value.bundle if isinstance(arg.value, ast.Each) else arg.value
            self.expr(value, scope)
        positional = [arg for arg in expr.args if arg.name is None]
        definition = self.definition(expr.func, scope)
        if isinstance(definition, ast.OpDef | ast.GraphDef):
            self.arguments(definition, positional, named, fed, place is _Place.NETWORK)
        elif definition is None and isinstance(expr.func, ast.Name) and self.is_builtin(expr.func.id, scope):
            self.builtin(expr, expr.func.id, positional, named)

    def arguments(
        self,
        definition: _Signature,
        positional: Sequence[ast.Arg],
        named: Mapping[str, Span],
        fed: bool,
        section: bool = False,
    ) -> None:
        """Names that a definition does not have, and more positions than it takes.

        A ``section`` may name the inputs of its network, to give them other shapes.
        """
        name = definition.name
        known = [param.name for param in definition.params]
        inputs = [param.name for param in definition.inputs]
        other = (name_span(definition), "defined here")
        for given, span in named.items():
            if given in inputs and section:
                continue
            if given in inputs:
                message = f"'{given}' is an input of '{name}'; inputs are given by position"
                self.wrong(Code.ARGUMENT, span, message, None, other)
            elif given not in known:
                hint = suggest(given, known) or (f"it has {', '.join(known)}" if known else "it has none")
                self.wrong(Code.ARGUMENT, span, f"'{name}' has no parameter '{given}'", hint, other)
        most = len([n for n in known if n not in named]) + (0 if fed else len(inputs))
        if len(positional) > most:
            takes = _count(len(known), "parameter") if fed else _count(len(known) + len(inputs), "argument")
            message = f"'{name}' takes {takes}, not {len(positional) + len(named.keys() & {*known})}"
            signature = ", ".join(inputs) + (f"; {', '.join(known)}" if known else "")
            self.wrong(Code.ARGUMENT, positional[most].span, message, f"its signature is ({signature})", other)

    def is_builtin(self, name: str, scope: _Scope) -> bool:
        return name in BUILTINS and not scope.binds(name) and self.meaning(name) is None

    def builtin(self, expr: ast.Call, name: str, positional: Sequence[ast.Arg], named: Mapping[str, Span]) -> None:
        for span in named.values():
            self.wrong(Code.ARGUMENT, span, f"'{name}' has no named parameters")
        count = NUMERIC.get(name)
        if not expr.args:
            self.wrong(Code.ARGUMENT, expr.span, f"'{name}' of nothing")
        elif count is not None and len(positional) > count:
            message = f"'{name}' takes {_count(count, 'number')}, not {len(positional)}"
            self.wrong(Code.ARGUMENT, positional[count].span, message)

    # ------------------------------------------------------------ names

    def name(self, expr: ast.Name, scope: _Scope, place: _Place) -> None:
        name = expr.id
        if scope.binds(name) or name in WORDS or name in scope.phases or (scope.quantities and name in QUANTITIES):
            return
        if self.meaning(name, expr.span) is not None or name in BUILTINS:
            return
        defined = scope.later.get(name)
        element = element_of(name)
        if defined is None and element is not None:
            defined = scope.later.get(f"{element[0]}[]")
        if defined is not None:
            self.too_early(expr, defined)
        elif not self.blind:
            self.unknown(expr, scope, place)

    def too_early(self, expr: ast.Name, defined: Span) -> None:
        message = f"'{expr.id}' is used before it is defined"
        self.wrong(Code.TOO_EARLY, expr.span, message, None, (defined, "defined here"))

    def unknown(self, expr: ast.Name, scope: _Scope, place: _Place) -> None:
        words = () if place is _Place.NETWORK else (*WORDS, *BUILTINS)
        known = [*scope.names(), *self.unit.visible(), *words, *(QUANTITIES if scope.quantities else ())]
        hint = self.elsewhere(expr.id) or suggest(expr.id, known)
        self.wrong(Code.UNKNOWN_NAME, expr.span, f"unknown {place.value} '{expr.id}'", hint)

    def elsewhere(self, name: str) -> str | None:
        """Where a name is defined that is not visible here."""
        for use, used in self.unit.imports:
            if used is not None and use.alias is not None and name in used.names:
                return f"write `{use.alias}.{name}`"
        for _, used in self.unit.imports:
            for use, further in used.imports if used is not None else ():
                if further is not None and name in further.names:
                    return f'`use "{use.path}"` defines it'
        return None

    def has_alias(self, name: str) -> bool:
        return name not in self.unit.names and any(use.alias == name for use in self.unit.module.uses)

    def aliased(self, name: str) -> Unit | None:
        return next(used for use, used in self.unit.imports if use.alias == name)

    def meaning(self, name: str, span: Span | None = None) -> Unit | None:
        """The unit that gives a meaning to a name of this file; of several, the first, which is reported."""
        if name in self.unit.names or self.has_alias(name):
            return self.unit
        found: list[tuple[ast.Use, Unit]] = []
        for use, used in self.unit.imports:
            if used is None or use.alias is not None or name not in used.names:
                continue
            if not any(used is other and use.replace == before.replace for before, other in found):
                found.append((use, used))
        if len(found) > 1 and span is not None and name not in self.ambiguous:
            self.ambiguous.add(name)
            (first, _), (second, _) = found[:2]
            files = (
                f"'{first.path}' and '{second.path}'" if first.path != second.path else f"two uses of '{first.path}'"
            )
            hint = f'give one a name: `use "{second.path}" as ...`'
            self.wrong(
                Code.AMBIGUOUS, span, f"'{name}' is defined by {files}", hint, (second.span, "the second of them")
            )
        if found:
            return found[0][1]
        prelude = self.unit.prelude
        return prelude if prelude is not None and name in prelude.names else None

    def definition(self, expr: ast.Expr, scope: _Scope) -> ast.Definition | None:
        """The definition that an expression names, if that is known without elaborating."""
        match expr:
            case ast.Name(id=name) if not (scope.binds(name) or name in scope.phases or self.replaced(name)):
                unit = self.meaning(name)
                return _plain_definition(unit, name) if unit is not None else None
            case ast.Field(base=ast.Name(id=base), name=name) if not scope.binds(base) and base not in scope.phases:
                used = self.aliased(base) if self.has_alias(base) and not self.replaced(name) else None
                return _plain_definition(used, name) if used is not None else None
            case ast.Copy(base=base):
                return self.definition(base, scope)
        return None

    def replaced(self, name: str) -> bool:
        """Whether a `use` puts something else in the place of this name."""
        return any(binding.target.name == name for use in self.unit.module.uses for binding in use.replace)


def _plain_definition(unit: Unit, name: str) -> ast.Definition | None:
    definitions = unit.names.get(name, ())
    return next((d for d in definitions if not isinstance(d, ast.GraphDef) or str(d.copy) == name), None)


def _kind(definition: ast.Definition) -> str:
    match definition:
        case ast.GraphDef(level=level):
            return f"a {level.value}"
        case ast.MenuDef():
            return "a menu"
    return "an operation"


def _defined(block: ast.Block) -> dict[str, Span]:
    """Every name that the lines of a text define, a family also as ``n[]``, with the first place."""
    found: dict[str, Span] = {}
    for line in block.lines:
        if not isinstance(line, ast.Binding):
            continue
        name = line.target.name
        span = line.target.ident.span
        found.setdefault(name, span)
        element = element_of(name)
        if line.target.dims:
            found.setdefault(f"{name}[]", span)
        elif element is not None:
            found.setdefault(element[0], span)
    return found


def _reachable(unit: Unit) -> list[Unit]:
    """A unit and all that it uses, directly or not."""
    found = [unit]
    for each in found:
        found += [used for _, used in each.imports if used is not None and used not in found]
    return [*found, *([unit.prelude] if unit.prelude is not None and unit.prelude not in found else [])]


def _plain(expr: ast.Expr) -> int | None:
    if isinstance(expr, ast.Number) and len(expr.text) < 10 and isinstance(expr.value, int):
        return expr.value
    return None


def _shown(index: tuple[int, ...]) -> str:
    return ", ".join(map(str, index))


def _called(expr: ast.Expr) -> str:
    return expr.func.span.text if isinstance(expr, ast.Call) else expr.span.text


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
