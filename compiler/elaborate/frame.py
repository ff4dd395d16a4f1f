"""Where an expression is read, and how one part of the interpreter asks another for its value."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .body_elaboration import BodyElaboration
from .trace import Element, Position, Reading, Turns
from .values import Mention, Value


class Frame(NamedTuple):
    """Where in a body an expression is read.

    ``name`` is the dotted place that nodes and decisions are named after (``n2``, ``s3.mix``); ``relaxed`` is set where
    the word means one variant of the network, whichever the body is (guards).
    """

    body: BodyElaboration
    position: Position[Value]
    name: str
    relaxed: bool | None = None

    @staticmethod
    def of(body: BodyElaboration, reading: Reading[Value]) -> Frame:
        """The frame of a whole line, or of a menu's items."""
        return Frame(body, Position(reading), reading.name)

    @staticmethod
    def unrecorded(
        body: BodyElaboration, name: str = "", instance: Instance | None = None, locals: dict[str, Value] | None = None
    ) -> Frame:
        """A frame for what leaves no record: sizes, expressions outside of any line."""
        return Frame.of(body, Reading(instance or body.instance, name=name, locals=locals))

    @property
    def locals(self) -> dict[str, Value]:
        """The names that only this line, element or menu knows."""
        return self.position.reading.locals

    @property
    def instance(self) -> Instance:
        """The file whose definitions the names mean."""
        return self.position.reading.instance

    @property
    def element(self) -> Element | None:
        """The element of a family that the line defines."""
        return self.position.reading.element

    @property
    def in_menu(self) -> bool:
        """Whether items of a menu are read, which do not see the names of the body that decides."""
        return self.position.reading.in_menu

    @property
    def turns(self) -> Turns:
        """The position in each enclosing `each`."""
        return self.position.each

    def named(self, name: str) -> Frame:
        """The same place under another name."""
        return Frame(self.body, self.position, name, self.relaxed)

    def turn(self, number: int) -> Frame:
        """The same place in a turn of a further `each`."""
        return Frame(self.body, self.position.turn(number), self.name, self.relaxed)

    def variant(self, relaxed: bool) -> Frame:
        """The same place as it is in the relaxed, or in the discrete, network; what is read leaves no record."""
        position = Position(self.position.reading.unrecorded(), self.position.each)
        return Frame(self.body, position, self.name, relaxed)

    def mention(self, node: ast.Node) -> Mention:
        """The mention of a menu, or an inline choice, that stands here."""
        return Mention(node, self.position, self.name)

    @property
    def place(self) -> str:
        """Where an error is, in front of its message."""
        return f"'{self.body.copy}.{self.name}': " if self.body.copy else ""


class Site(NamedTuple):
    """Where something is made: the frame, the name it is to get (None: one after its kind), and the span of errors."""

    frame: Frame
    name_hint: str | None
    span: Span

    def name(self, slot: str) -> str:
        """The name: as hinted, or the place and ``slot``."""
        return self.name_hint or f"{self.frame.name}.{slot}"

    def at(self, name: str | None) -> Site:
        """The same site with another name hint."""
        return Site(self.frame, name, self.span)


class Evaluate(Protocol):
    """The value of an expression in a frame: `Interpreter.evaluate`, as the other parts know it."""

    def __call__(self, expr: ast.Expr, frame: Frame, name_hint: str | None = None, last: int | None = None) -> Value:
        """The value of an expression in a frame."""
