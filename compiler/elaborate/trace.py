"""The record of an elaboration: what each expression of a body was, and which decision each choice became.

An occurrence of an expression is identified by

- the copy whose body was elaborated (there is one `Trace` for each),
- the definition that the expression stands in: that of the body, or a menu whose items the body decides between,
- the number of its node in that definition (`NodeIndex`),
- the element of the family, where the line defines one, or the decision that the menu's items belong to: a `Reading`
  is one passage of the elaborator through a line or a menu,
- the position in each enclosing `each` (`Position.each`).

Derivation and membership read this record. Bodies of operations hold no choice and leave no record. The classes do not
know what values are: ``V`` is `compiler.elaborate.values.Value`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

V = TypeVar("V")

Turns: TypeAlias = tuple[int, ...]
"""The position in each enclosing `each`, outermost first."""

Element: TypeAlias = tuple[str, tuple[int, ...]]
"""An element of a family: the family's name and the indices."""


class NodeIndex:
    """Numbers the nodes of a definition, depth first in source order, from 0 for the definition itself.

    It stands for its definition where one is a key: it is equal to itself only, and hashed in constant time.
    """

    def __init__(self, definition: ast.Definition) -> None:
        self.definition = definition

    @cached_property
    def nodes(self) -> tuple[ast.Node, ...]:
        """All nodes of the definition, by number."""
        found: list[ast.Node] = []
        pending: list[ast.Node] = [self.definition]
        while pending:
            node = pending.pop()
            found.append(node)
            pending += reversed(tuple(node.children()))
        return tuple(found)

    @cached_property
    def _numbers(self) -> dict[int, int]:
        # Nodes that say the same are equal, wherever they stand: only identity tells them apart. The index holds the
        # definition and so its nodes, and the identity of a node that lives is not given to another.
        return {id(node): number for number, node in enumerate(self.nodes)}

    def number(self, node: ast.Node) -> int | None:
        """The number of a node; None where it is none of this definition."""
        return self._numbers.get(id(node))


class NodeIndexes:
    """The index of each definition, made when it is first asked for."""

    def __init__(self) -> None:
        self._known: dict[int, NodeIndex] = {}

    def of(self, definition: ast.Definition) -> NodeIndex:
        """The index of a definition: the same object each time."""
        known = self._known.get(id(definition))  # by identity: the index that is kept holds the definition
        if known is None:
            known = self._known[id(definition)] = NodeIndex(definition)
        return known


class Reading(Generic[V]):
    """One passage through a line (for one element of its family), or through the items of a menu (for one decision).

    Attributes:
        instance: the file whose definitions the names mean.
        index: the definition that is read; None where nothing is recorded.
        name: the line, or the element of its family: ``n2``.
        element: the element, where the line defines one.
        locals: the names that only this passage knows: indices, where-names, parameters of the menu.
        in_menu: whether items of a menu are read, which do not see the names of the body that decides.
    """

    __slots__ = ("_choices", "_values", "element", "in_menu", "index", "instance", "locals", "name")

    def __init__(
        self,
        instance: Instance,
        index: NodeIndex | None = None,
        *,
        name: str = "",
        element: Element | None = None,
        locals: dict[str, V] | None = None,
        in_menu: bool = False,
    ) -> None:
        self.instance = instance
        self.index = index
        self.name = name
        self.element = element
        self.locals: dict[str, V] = {} if locals is None else locals
        self.in_menu = in_menu
        self._values: dict[tuple[int, Turns], V] = {}
        self._choices: dict[tuple[int, Turns], ChoiceRecord[V]] = {}

    def unrecorded(self) -> Reading[V]:
        """A passage that sees the same names and leaves no record."""
        return Reading(self.instance, name=self.name, element=self.element, locals=self.locals, in_menu=self.in_menu)

    @property
    def values(self) -> Iterator[V]:
        """The value of every occurrence that was recorded."""
        return iter(self._values.values())

    @property
    def has_choices(self) -> bool:
        """Whether anything was decided in this passage."""
        return bool(self._choices)

    def record_value(self, node: ast.Node, turns: Turns, value: V) -> None:
        """Record what an expression was."""
        if self.index is not None and (number := self.index.number(node)) is not None:
            self._values[number, turns] = value

    def record_choice(self, node: ast.Node, turns: Turns, choice: ChoiceRecord[V]) -> None:
        """Record what a choice, or the mention of a menu, became."""
        if self.index is not None and (number := self.index.number(node)) is not None:
            self._choices[number, turns] = choice

    def value(self, node: ast.Node, turns: Turns) -> V | None:
        """The value of an expression; None where it was not evaluated."""
        number = None if self.index is None else self.index.number(node)
        return None if number is None else self._values.get((number, turns))

    def choice(self, node: ast.Node, turns: Turns) -> ChoiceRecord[V] | None:
        """The record of a choice; None where the node is not a choice, or was not evaluated."""
        number = None if self.index is None else self.index.number(node)
        return None if number is None else self._choices.get((number, turns))

    def choices(self, node: ast.Node | None = None) -> Iterator[ChoiceRecord[V]]:
        """The choices of this passage, or of an expression of it, in all turns of `each`."""
        parts = None if node is None or self.index is None else {self.index.number(part) for part in node.walk()}
        yield from (choice for (number, _), choice in self._choices.items() if parts is None or number in parts)

    def occurrences(self) -> Iterator[Occurrence[V]]:
        """All that was recorded, in the order in which it was read."""
        if self.index is None:
            return
        for (number, turns), value in self._values.items():
            choice = self._choices.get((number, turns))
            yield Occurrence(self.index.nodes[number], number, self.name, turns, value, choice)


class Position(NamedTuple, Generic[V]):
    """Where an expression is read: in which passage, and in which turn of each enclosing `each`."""

    reading: Reading[V]
    each: Turns = ()

    def turn(self, number: int) -> Position[V]:
        """The same passage in a turn of a further `each`."""
        return Position(self.reading, (*self.each, number))

    def outside_each(self) -> Position[V]:
        """The same passage outside of the innermost `each`."""
        return Position(self.reading, self.each[:-1])

    def value(self, node: ast.Node) -> V | None:
        """The value of an expression here; None where it was not evaluated."""
        return self.reading.value(node, self.each)

    def choice(self, node: ast.Node) -> ChoiceRecord[V] | None:
        """The record of a choice here; None where the node is not a choice, or was not evaluated."""
        return self.reading.choice(node, self.each)


class Option(NamedTuple, Generic[V]):
    """An item of a decision as text: what derivation writes when the item wins, and where it was read.

    ``element`` is the position of the item in the bundle that the expression is, where it is one.
    """

    expr: ast.Expr
    position: Position[V]
    element: int | None = None


class ChoiceRecord(NamedTuple, Generic[V]):
    """The record of a choice: the path of its decision and the value of each item; no path where one item was left."""

    path: str | None
    options: tuple[Option[V], ...]


class Occurrence(NamedTuple, Generic[V]):
    """An occurrence of an expression: its node and number, the line or element, the turns, and what it became."""

    node: ast.Node
    number: int
    line: str
    each: Turns
    value: V
    choice: ChoiceRecord[V] | None


class Trace(Generic[V]):
    """The passages through the lines of a body, and its defaults. Without an ``index`` nothing is recorded."""

    def __init__(self, index: NodeIndex | None = None) -> None:
        self.index = index
        self._lines: dict[int, list[Reading[V]]] = {}

    def begin(
        self,
        line: ast.BodyLine | ast.Param,
        instance: Instance,
        name: str,
        element: Element | None = None,
        locals: dict[str, V] | None = None,
    ) -> Reading[V]:
        """A new passage through a line, or through the default of a parameter."""
        reading: Reading[V] = Reading(instance, self.index, name=name, element=element, locals=locals)
        if self.index is not None and (number := self.index.number(line)) is not None:
            self._lines.setdefault(number, []).append(reading)
        return reading

    def readings(self, line: ast.BodyLine | ast.Param) -> Sequence[Reading[V]]:
        """The passages through a line or default, in order: one, or one for each element of its family; maybe none."""
        number = None if self.index is None else self.index.number(line)
        return () if number is None else self._lines.get(number, ())

    def occurrences(self) -> Iterator[Occurrence[V]]:
        """All that was recorded of this body, line by line; see `Option` for what menus record."""
        for readings in self._lines.values():
            for reading in readings:
                yield from reading.occurrences()
