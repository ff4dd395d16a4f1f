"""What elaboration keeps while it walks: texts being elaborated, frames inside them, copies that it has met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from compiler.ir.combinatorics.count_formula import Product
from compiler.ir.decision import Decision
from compiler.ir.graph import Block, Node, Payload, SpaceGraph
from compiler.ir.quantities import Preference
from compiler.ir.shape import Shape
from hdas_dsl.files import Instance
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .values import UNKNOWN, Bundle, Tensor, Value


class Fault(Exception):
    """An error in the program; caught where a line ends, so that the other lines still report theirs."""

    def __init__(
        self,
        code: Code,
        span: Span,
        message: str,
        hint: str | None = None,
        other: tuple[Span, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, span, message, hint, other)


class Silent(Exception):
    """Something depends on a line that already has an error."""


@dataclass
class Family:
    """The elements that share a name. ``size`` is the decision on where the family ends, if it is one."""

    name: str
    elements: dict[tuple[int, ...], Value] = field(default_factory=dict)
    size: Decision | None = None

    def values(self) -> tuple[Value, ...]:
        return self.last(len(self.elements))

    def last(self, count: int) -> tuple[Value, ...]:
        """As many elements from the end as hold ``count`` values; a bundle may hold none."""
        found: list[Value] = []
        for value in reversed(self.elements.values()):
            if count <= 0:
                break
            if value is UNKNOWN:
                raise Silent
            found.append(value)
            count -= not isinstance(value, Bundle)
        return tuple(reversed(found))


@dataclass(eq=False)
class Text:
    """One elaboration of the body of a definition."""

    definition: ast.Definition
    instance: Instance
    copy: str
    level: str
    relaxed: bool
    root: bool = False
    consulted: bool = False
    bindings: dict[str, Value] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    fields: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    graph: SpaceGraph = field(default_factory=SpaceGraph)
    mentions: dict[tuple[str, str], ast.Node] = field(default_factory=dict)
    traces: dict[int, list[Frame]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    preferences: list[Preference] = field(default_factory=list)
    prune: bool = False

    @property
    def inside(self) -> bool:
        """Whether this is the text of an operation, which holds no decision."""
        return self.level == "op"

    def unique(self, name: str, table: dict[str, int]) -> str:
        table[name] = table.get(name, 0) + 1
        return name if table[name] == 1 else self.unique(f"{name}_{table[name]}", table)

    def add(
        self,
        name: str,
        payload: Payload,
        shape: Shape,
        sources: tuple[Tensor, ...],
        span: Span,
        line: str | None = None,
    ) -> Tensor:
        """A new node of this text's graph."""
        node = Node(self.unique(name.strip("."), self.names), payload, shape, line, span=span)
        index = self.graph.add(node, tuple(source.index for source in sources))
        return Tensor(id(self), index, shape)


@dataclass(frozen=True, eq=False)
class Frame:
    """Where in a text an expression stands.

    ``name`` is the dotted place that nodes and decisions are named after (``n2``, ``s3.mix``); ``prefix`` is set while
    the items of a menu are read, whose decisions belong below the menu's own path. ``seen`` remembers the value of each
    expression and the decision of each choice, by node and position in each enclosing `each`: derivation reads it.
    A ``foreign`` frame reads the items of a menu, which do not see the names of the text that decides.
    """

    text: Text
    instance: Instance
    name: str
    locals: dict[str, Value] = field(default_factory=dict)
    element: tuple[str, tuple[int, ...]] | None = None
    each: tuple[int, ...] = ()
    relaxed: bool | None = None
    seen: dict[tuple[int, tuple[int, ...]], Value] = field(default_factory=dict)
    decided: dict[tuple[int, tuple[int, ...]], Decided] = field(default_factory=dict)
    foreign: bool = False
    depth: int = 0

    def sub(self, **changes: object) -> Frame:
        return replace(self, **changes)  # type: ignore[arg-type]

    def key(self, node: ast.Node) -> tuple[int, tuple[int, ...]]:
        return id(node), self.each


@dataclass(frozen=True)
class Option:
    """An item of a decision as text: what derivation writes when the item wins."""

    value: ast.Expr
    frame: Frame


@dataclass(frozen=True)
class Decided:
    """A decision made at a place of the text, and what each item says; no path where there was nothing to decide."""

    path: str | None
    options: tuple[Option, ...]


@dataclass(eq=False)
class Copy:
    """A copy of a definition: its decisions, once, and the first text that was elaborated of it."""

    path: str
    definition: ast.GraphDef
    instance: Instance
    text: Text
    formula: Product
    block: Block
    span: Span
    owner: str | None = None

    @property
    def live(self) -> bool:
        """Whether it still has a choice of its own."""
        return bool(self.text.decisions)
