"""Definitions as an architecture has them: with decisions made where a copy has any, else as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from compiler.elaborate import BodyElaboration, Copy, Elaborated
from compiler.elaborate.trace import Position, Reading
from compiler.elaborate.values import Tensor, Unknown, Value
from compiler.ir.shape import Shape
from hdas_dsl.names import is_element, local_names
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import ELEMENT
from hdas_dsl.units import Instance

from .literals import literal
from .presence import Presence
from .recorded import Recorded
from .references import References
from .residual import Residual


@dataclass(frozen=True, eq=False)
class Definitions:
    """Writes definitions of a space down for an architecture."""

    space: Elaborated
    presence: Presence
    references: References

    def network(self) -> ast.GraphDef:
        """The network, with the values that it was elaborated with as defaults, and the shapes of its inputs."""
        root, graph = self.space.root, self.space.block.graph
        literals = {name: literal(value, self.references) for name, value in self.space.arguments.items()}
        values = {name: value for name, value in literals.items() if value is not None}
        # What a value replaces is not read: the names in it would come along.
        definition = replace(root.definition, params=tuple(_without(values, param) for param in root.definition.params))
        made = self.derived(root, definition) if root.live else self.verbatim(definition, root.instance)
        assert isinstance(made, ast.GraphDef)
        params = tuple(replace(param, default=values.get(param.name, param.default)) for param in made.params)
        shapes = [graph.node(index).shape for index in graph.inputs]
        inputs = tuple(_shaped(param, shape) for param, shape in zip(definition.inputs, shapes, strict=True))
        return replace(made, copy=ast.CopyName.of(definition.name), inputs=inputs, params=params)

    def titled(self, title: str, definition: ast.Definition, instance: Instance) -> ast.Definition:
        """A definition under its title: derived where it is a live copy, else as written."""
        if not isinstance(definition, ast.GraphDef):
            written = self.verbatim(definition, instance)
            assert not isinstance(written, ast.GraphDef)
            return replace(written, ident=ast.Ident(title))
        copy = self.space.copies.get(title)
        made = self.derived(copy) if copy is not None and copy.live else self.verbatim(definition, instance)
        assert isinstance(made, ast.GraphDef)
        return replace(made, copy=ast.CopyName.of(title))

    def verbatim(self, definition: ast.Definition, instance: Instance) -> ast.Definition:
        """A definition as written, with the names of other definitions as they are called here."""
        renamed = self.references.renamed_node(definition, instance, local_names(definition))
        assert isinstance(renamed, ast.OpDef | ast.MenuDef | ast.GraphDef)
        return renamed

    def derived(self, copy: Copy, definition: ast.GraphDef | None = None) -> ast.GraphDef:
        """A copy with its decisions made; ``definition`` is its own with other parameters."""
        definition = definition or copy.definition
        lines: list[ast.BodyLine] = []
        names = local_names(copy.definition)
        for line in copy.definition.body.lines:
            lines += self._lines(line, copy, names)
        if copy.body.prune and not self.presence.left.items:
            lines = reachable([line for line in lines if not isinstance(line, ast.Prune)], copy.body)
        body = replace(copy.definition.body, lines=tuple(lines))
        params = tuple(self._param(param, copy, names) for param in definition.params)
        return replace(definition, params=params, body=body)

    def _param(self, param: ast.Param, copy: Copy, names: frozenset[str]) -> ast.Param:
        """A parameter of a copy: what a choice in its default became; no default where a choice was never read."""
        if param.default is None:
            return param
        readings = copy.body.trace.readings(param)
        if any(map(self._is_touched, readings)):
            return replace(param, default=self._residual({}, copy.body).expr(param.default, Position(readings[0])))
        if self.presence.left.items:
            return replace(param, default=self.references.renamed(param.default, copy.instance, names))
        if not readings and any(isinstance(part, ast.Choice | ast.Pick) for part in param.default.walk()):
            return replace(param, default=None)
        return replace(param, default=self.references.renamed(param.default, copy.instance, names))

    # ------------------------------------------------------------ lines

    def _lines(self, line: ast.BodyLine, copy: Copy, names: frozenset[str]) -> list[ast.BodyLine]:
        """The residual of a line of a copy: a line for each element, the line with its decisions made, or nothing."""
        body = copy.body
        readings = body.trace.readings(line)
        match line:
            case ast.Preference() if not self.presence.left.items:
                return []
            case ast.Binding(target=ast.Target(dims=dims)) if dims:
                elements = self._elements(line, body)
                if elements is not None:
                    return [self._element(line, reading, body, i == 0) for i, reading in enumerate(elements)]
                line = self._sized(line, body)
            case ast.Binding() if not self._exists(body.bindings[line.target.name]):
                return []
            case ast.Binding() if any(map(self._is_touched, readings)):
                return [self._element(line, readings[0], body, True)]
            case ast.Output() if any(map(self._is_touched, readings)):
                return [replace(line, value=self._residual({}, body).expr(line.value, Position(readings[0])))]
        made = self.references.renamed_node(line, copy.instance, names)
        return [made]  # type: ignore[list-item]

    def _elements(self, line: ast.Binding, body: BodyElaboration) -> list[Reading[Value]] | None:
        """The elements of a family that the architecture has; None where the line can stand as it is written."""
        family, left = body.families[line.target.name], self.presence.left
        readings = body.trace.readings(line)
        if left.items and not any(map(left.changes, readings)):
            return None
        chooses = any(reading.has_choices for reading in readings)
        is_decided_here = isinstance(line.target.dims[0].size, ast.Choice)
        if not body.prune and not chooses and not is_decided_here:
            return None
        if family.size is not None and family.size.path in left.items:
            message = f"the choices of '{family.name}' cannot lose items one by one, since its end is undecided"
            raise HspError([Diagnostic(Code.UNDERIVABLE, line.span, message)])
        if family.size is not None:
            readings = readings[: family.size.numbers[self.presence.chosen[family.size.path][0]]]
        return [r for r in readings if r.element is not None and self._exists(family.elements[r.element[1]])]

    def _sized(self, line: ast.Binding, body: BodyElaboration) -> ast.Binding:
        """The line of a family whose size keeps some of its numbers."""
        first, *others = line.target.dims
        family, left = body.families[line.target.name], self.presence.left
        if not left.items or not isinstance(first.size, ast.Choice) or family.size is None:
            return line
        path, numbers = family.size.path, family.size.numbers
        if path not in left.smaller:
            return line
        kept = [ast.Number(str(numbers[item])) for item in left.items.get(path, self.presence.chosen[path])]
        size = ast.Choice(tuple(map(ast.Item, kept))) if len(kept) > 1 else kept[0]
        return replace(line, target=replace(line.target, dims=(replace(first, size=size), *others)))

    def _is_touched(self, reading: Reading[Value]) -> bool:
        """Whether anything was decided in a line, or part of what it reads does not exist."""
        if self.presence.left.items:
            return self.presence.left.changes(reading)
        return reading.has_choices or any(map(self.presence.lacks, reading.values))

    def _exists(self, value: Value | Unknown) -> bool:
        return isinstance(value, Unknown) or self.presence.exists(value)

    def _element(self, line: ast.Binding, reading: Reading[Value], body: BodyElaboration, first: bool) -> ast.Binding:
        """A line of a family for one element, or a line of its own; what stands around it goes to the first."""
        wheres = {name: binding for binding in line.where for name in binding.target.names}
        residual, position = self._residual(wheres, body), Position(reading)
        value = residual.expr(line.value, position)
        kept = [
            replace(binding, value=residual.expr(binding.value, position))
            for binding in line.where
            if isinstance(reading.locals.get(binding.target.name), Tensor)
            or residual.recorded.stays_open(binding.value, position)
        ]
        used = _names_in(value)
        for binding in reversed(kept):
            if binding.target.name in used:
                used |= _names_in(binding.value)
        return replace(
            line,
            target=ast.Target.of(reading.name) if line.target.dims else line.target,
            value=value,
            where=tuple(binding for binding in kept if binding.target.name in used),
            gap=line.gap and first,
            note=line.note if first else None,
        )

    def _residual(self, wheres: Mapping[str, ast.Binding], body: BodyElaboration) -> Residual:
        def rename(name: str, position: Position[Value]) -> ast.Expr | None:
            """The name of a definition in the derived file; None for a name of the body."""
            first, reading = name.partition(".")[0], position.reading
            if first in reading.locals:
                return None
            if not reading.in_menu and (first in body.bindings or is_element(first, body.families)):
                return None
            return self.references.title_of(name, reading.instance)

        recorded = Recorded(self.presence, body, wheres)
        return Residual(recorded, rename, lambda value: literal(value, self.references))


def _without(values: Mapping[str, ast.Expr], param: ast.Param) -> ast.Param:
    """A parameter without its default, where there is a value for it."""
    return replace(param, default=None) if param.name in values else param


def _shaped(param: ast.Param, shape: Shape) -> ast.Param:
    return replace(param, shape=tuple(ast.Number(str(dim)) for dim in shape.dims))


def _names_in(expr: ast.Expr) -> set[str]:
    return {part.id for part in expr.walk() if isinstance(part, ast.Name)}


def reachable(lines: list[ast.BodyLine], body: BodyElaboration) -> list[ast.BodyLine]:
    """The lines that the output needs."""
    needed: set[str] = set()
    kept: list[ast.BodyLine] = []
    for position in reversed(range(len(lines))):
        line = lines[position]
        if isinstance(line, ast.Binding) and not needed & _defined(line):
            continue
        kept.append(line)
        needed |= _needed(line, lines[:position], body)
    return kept[::-1]


def _needed(node: ast.Node, before: list[ast.BodyLine], body: BodyElaboration) -> set[str]:
    """The lines, elements and families that a text mentions; ``last of n`` needs only the last element before it."""
    match node:
        case ast.Take(bundle=ast.Name(id=name), count=None | ast.Number() as count) if _is_of_tensors(name, body):
            number = 1 if count is None else int(count.value)
            named = [line.target.name for line in before if isinstance(line, ast.Binding) and name in _defined(line)]
            return set(named[-number:] if node.end is ast.End.LAST else named[:number])
        case ast.Name(id=name):
            return {name}
        case ast.Earlier(family=family):
            return {family}
    return {name for child in node.children() for name in _needed(child, before, body)}


def _is_of_tensors(name: str, body: BodyElaboration) -> bool:
    """Whether a name is a family each of whose elements is one tensor."""
    family = body.families.get(name)
    return family is not None and all(isinstance(value, Tensor) for value in family.elements.values())


def _defined(line: ast.Binding) -> set[str]:
    """The names that a line binds, families of elements included."""
    names = set(line.target.names)
    for name in line.target.names:
        if match := ELEMENT.fullmatch(name):
            names.add(match[1])
    return names
