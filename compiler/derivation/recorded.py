"""What the record of an elaboration says of an expression, under the decisions of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from compiler.elaborate import BodyElaboration
from compiler.elaborate.trace import Position
from compiler.elaborate.values import Value, is_tensors
from compiler.ir.undecided import Var, settle
from hdas_dsl.tree import ast

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
        """What an expression was, under the decisions that it depends on; None where it was not read."""
        value = at.value(node)
        if isinstance(value, Var):
            return settle(value, value.decisions, tuple(self.presence.chosen[path][0] for path in value.decisions))
        return value

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

    def lacks(self, node: ast.Node, at: Place) -> bool:
        """Whether part of what a node was does not exist."""
        value = self.value(node, at)
        return value is not None and self.presence.lacks(value)

    def chooses(self, node: ast.Node, at: Place) -> bool:
        """Whether there is a choice in an expression."""
        return any(at.choice(part) is not None for part in node.walk())
