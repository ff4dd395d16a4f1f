"""The record of an elaboration under the decisions of an architecture: the value of each expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from compiler.elaborate import BodyElaboration
from compiler.elaborate.trace import Position
from compiler.elaborate.values import Builtin, Value, is_tensors
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import CONSTANTS, NUMERIC
from hdas_dsl.units import Entity

from .presence import Presence

Place: TypeAlias = "Position[Value]"
"""Where an expression was read; see `compiler.elaborate.trace`."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """Answers questions about the expressions of a line; ``wheres`` are its local bindings, by name."""

    presence: Presence
    body: BodyElaboration
    wheres: Mapping[str, ast.Binding]

    def value(self, node: ast.Node, at: Place) -> Value | None:
        """The value of an expression under the decisions that it depends on; None where it was not evaluated."""
        value = at.value(node)
        return None if value is None else self.presence.settled(value)

    def stays_open(self, node: ast.Node, at: Place) -> bool:
        """Whether an expression has a choice that stays one: to write it twice would choose twice."""
        return any(map(self.presence.left.is_open, at.reading.choices(node)))

    def can_be_written(self, node: ast.Node, at: Place) -> bool:
        """Whether an expression was read, or says without a record what it is: another instance may read it."""
        return at.value(node) is not None or not any(self._needs_record(part, at) for part in node.walk())

    def _needs_record(self, node: ast.Node, at: Place) -> bool:
        match node:
            case ast.Choice() | ast.Pick() | ast.Each() | ast.Earlier() | ast.Name(id="prev"):
                return True
            case ast.Name(id=name):
                found = at.reading.instance.lookup(name)
                return isinstance(found, Entity) and isinstance(found.plain, ast.MenuDef)
        return False

    def where(self, node: ast.Node, at: Place) -> ast.Binding | None:
        """The local binding that a name means."""
        if not isinstance(node, ast.Name) or node.id not in at.reading.locals or at.reading.in_menu:
            return None
        return self.wheres.get(node.id)

    def is_tensors(self, node: ast.Expr, at: Place) -> bool:
        """Whether an expression fed inputs."""
        value = at.value(node)
        return value is not None and is_tensors(value)

    def is_local(self, node: ast.Node, at: Place) -> bool:
        """Whether a bundle mentions something that only this element knows."""
        return self.substitutes(node, at) or any(isinstance(p, ast.Earlier | ast.Pick | ast.Each) for p in node.walk())

    def substitutes(self, node: ast.Node, at: Place) -> bool:
        """Whether an expression mentions something that is written out: an index, a where-name."""
        return any(isinstance(part, ast.Name) and part.id in at.reading.locals for part in node.walk())

    def is_constant(self, node: ast.Node, at: Place) -> bool:
        """Whether an expression says the same wherever its text stands: numbers, indices, and what is made of them."""
        match node:
            case ast.Name(id=name) if name in at.reading.locals:
                where = self.where(node, at)
                return where is None or self.is_constant(where.value, at)
            case ast.Name(id=name):
                return name in CONSTANTS or (not at.reading.in_menu and self._is_constant_line(name))
            case ast.Call(func=ast.Name(id=name)) if at.value(node.func) == Builtin(name) and name in NUMERIC:
                return all(self.is_constant(arg.value, at) for arg in node.args)
            case ast.Number() | ast.String():
                return True
            case ast.Tuple() | ast.Index() | ast.Unary() | ast.Binary() | ast.If():
                return all(self.is_constant(child, at) for child in node.children())
        return False

    def _is_constant_line(self, name: str) -> bool:
        """Whether a name is a line of the body that is constant."""
        for line in self.body.definition.walk():
            if isinstance(line, ast.Binding) and line.target.names == (name,) and not line.target.dims:
                readings = self.body.trace.readings(line)
                return bool(readings) and self.is_constant(line.value, Position(readings[0]))
        return False

    def lacks(self, node: ast.Node, at: Place) -> bool:
        """Whether part of what a node was does not exist."""
        value = at.value(node)
        return value is not None and self.presence.lacks(value)

    def chooses(self, node: ast.Node, at: Place) -> bool:
        """Whether there is a choice in an expression."""
        return any(at.choice(part) is not None for part in node.walk())
