"""Bundles written out: the expressions of their elements, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compiler.elaborate.trace import ChoiceRecord, Option
from compiler.elaborate.values import Builtin, Bundle, Picked, Tensor, Unknown, Value, flatten, is_tensors
from compiler.ir.undecided import Var
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name

from .recorded import Place, Recorded

Parts = list[ast.Expr | None]
"""The elements in order; None stands for one that does not exist."""


@dataclass(frozen=True, eq=False)
class Bundles:
    """Writes bundles out. ``expr`` is the residual of an expression, ``literal`` writes a value down."""

    recorded: Recorded
    expr: Callable[[ast.Expr, Place], ast.Expr]
    literal: Callable[[Value], ast.Expr | None]

    def spread(self, node: ast.Expr, at: Place) -> list[ast.Expr]:
        """The elements that exist; a family that can stand by its name is one of them."""
        return [part for part in self._parts(node, at, whole=False) if part is not None]

    def turn(self, node: ast.Each, at: Place) -> ast.Expr:
        """The element of the bundle that this turn of `each` takes."""
        return self._element(node.bundle, at.outside_each(), at.each[-1])

    def option(self, option: Option[Value]) -> ast.Expr:
        """The residual of an item that was taken."""
        if option.element is None:
            return self.expr(option.expr, option.position)
        return self._element(option.expr, option.position, option.element)

    def _element(self, node: ast.Expr, at: Place, number: int) -> ast.Expr:
        found = self._parts(node, at, whole=True)[number]
        assert found is not None, "what does not exist is not taken, and nothing is applied to it"
        return found

    def _parts(self, node: ast.Expr, at: Place, whole: bool) -> Parts:
        """The elements of a bundle; ``whole`` writes out families that could stand by their name."""
        choice, where = at.choice(node), self.recorded.where(node, at)
        if choice is not None and self.recorded.presence.left.is_open(choice):
            return [self.expr(node, at)]
        if where is not None and self.recorded.stays_open(where.value, at):
            return self._named(node, at, whole)
        if choice is not None and not isinstance(node, ast.Pick):
            option = choice.options[0 if choice.path is None else self.recorded.presence.chosen[choice.path][0]]
            return self._parts(option.expr, option.position, whole)
        match node:
            case ast.Tuple():
                return [part for item in node.items for part in self._parts(item, at, whole)]
            case ast.Pick():
                return self._picked(choice)
            case ast.Call() if any(isinstance(arg.value, ast.Each) for arg in node.args):
                return self._turns(node, at)
            case ast.Call() if at.value(node.func) == Builtin("prev"):
                return self._previous(node, at)
            case ast.Earlier():
                return self._earlier(node, at)
            case ast.Name() if where is not None and isinstance(at.reading.locals[node.id], Bundle | Picked):
                return self._parts(where.value, at, whole)
            case ast.If() if whole:
                return self._parts(node.then if self.recorded.value(node.cond, at) else node.orelse, at, whole)
            case ast.Take() if whole or self.recorded.is_local(node.bundle, at):
                parts = self._parts(node.bundle, at, whole=True)
                count = 1 if node.count is None else at.value(node.count)
                assert isinstance(count, int), "a plain whole number"
                return parts[-count:] if node.end is ast.End.LAST else parts[:count]
        return self._by_name(node, at, whole)

    def _by_name(self, node: ast.Expr, at: Place, whole: bool) -> Parts:
        """The elements of a family or a bundle by their names; the expression itself where it can stand for them."""
        exists, value = self.recorded.presence.exists, self.recorded.value(node, at)
        if value == Bundle(()) and isinstance(at.value(node), Var):  # a family without an element has no line
            return []
        if value is None or isinstance(value, Var):
            return [self.expr(node, at)]
        items = flatten(value)
        if is_tensors(value) and not any(map(exists, items)):
            return [None for _ in items]
        if isinstance(value, Bundle | Tensor) and (whole or isinstance(node, ast.Index)):
            names = [item.name for item in items if isinstance(item, Tensor) and item.name]
            if len(names) == len(items) and isinstance(node, ast.Index | ast.Name):
                return [
                    ast.Name(name, span=node.span) if exists(item) else None
                    for name, item in zip(names, items, strict=True)
                ]
            if whole and len(items) > 1:
                return [self._indexed(node, at, number, item) for number, item in enumerate(items)]
        return [self.expr(node, at)]

    def _named(self, node: ast.Expr, at: Place, whole: bool) -> Parts:
        """A local bundle by its name; where it is written out, its elements by their numbers."""
        value = at.value(node)
        count = len(value.items) if whole and isinstance(value, Bundle) else 1
        return [node] if count == 1 else [ast.Index(node, (ast.Number(str(number)),)) for number in range(count)]

    def _indexed(self, node: ast.Expr, at: Place, number: int, item: Value) -> ast.Expr | None:
        """An element of a bundle that is not a line of its own: its literal, else the bundle by index."""
        if not self.recorded.presence.exists(item):
            return None
        return self.literal(item) or ast.Index(self.expr(node, at), (ast.Number(str(number)),), span=node.span)

    def _picked(self, choice: ChoiceRecord[Value] | None) -> Parts:
        """The candidates that a pick takes."""
        if choice is None or choice.path is None:
            return []
        return [self.option(choice.options[index]) for index in self.recorded.presence.chosen[choice.path]]

    def _turns(self, node: ast.Call, at: Place) -> Parts:
        """The calls that `each` makes."""
        made = at.value(node)
        results = made.items if isinstance(made, Bundle) else ()
        exists = self.recorded.presence.exists
        return [self.expr(node, at.turn(number)) if exists(result) else None for number, result in enumerate(results)]

    def _previous(self, node: ast.Call, at: Place) -> Parts:
        """The elements of `prev`: seeds as they are written, then the elements before this one by their names."""
        seeds = [part for arg in node.args for part in self._parts(arg.value, at, whole=True)]
        return [*seeds, *self._before(at, len(seeds))][-len(seeds) :]

    def _earlier(self, node: ast.Earlier, at: Place) -> Parts:
        """The elements that ``earlier n`` stood for: the last of them, where only those were read."""
        value = at.value(node)
        return self._before(at, len(value.items)) if isinstance(value, Bundle) else []

    def _before(self, at: Place, count: int) -> Parts:
        """The last so many elements of a family before this one, by their names."""
        if at.reading.element is None:
            return []
        name, index = at.reading.element
        family = self.recorded.body.families[name]
        place = family.places[index]
        return [self._member(name, other) for other in family.order[max(0, place - count) : place]]

    def _member(self, family: str, index: tuple[int, ...]) -> ast.Expr | None:
        """An element of a family, by its name."""
        value = self.recorded.body.families[family].elements[index]
        is_there = isinstance(value, Unknown) or self.recorded.presence.exists(value)
        return ast.Name(element_name(family, index)) if is_there else None
