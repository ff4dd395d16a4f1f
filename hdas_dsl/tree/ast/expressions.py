"""The syntax tree of the language: a table of its frozen nodes, each with the span that it came from.

The file is long because it is a table: a node is its fields, and what it does with them is said in `Node` alone.

Spans take no part in equality, so that ``parse(print(tree)) == tree`` is meaningful. Own-line comments are items of
the sequence they stand in (`Comment`); a comment behind a line is that line's ``note``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, Self, TypeAlias

from hdas_dsl.text.source import NOWHERE, Span


@dataclass(frozen=True)
class Node:
    """A node of the syntax tree; ``span`` is the text that it was read from, `NOWHERE` if it was built."""

    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    def children(self) -> Iterator[Node]:
        """The nodes directly below this one, in source order."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, Node):
                yield value
            elif isinstance(value, tuple):
                yield from (part for part in value if isinstance(part, Node))

    def mapped(self, change: Callable[[Node], Node]) -> Self:
        """A copy with ``change`` applied to each node directly below; the node itself where nothing changed."""
        changes: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            made: object = value
            if isinstance(value, Node):
                made = change(value)
            elif isinstance(value, tuple):
                made = tuple(change(part) if isinstance(part, Node) else part for part in value)
                if all(a is b for a, b in zip(made, value, strict=True)):
                    made = value
            if made is not value:
                changes[name] = made
        return replace(self, **changes) if changes else self

    def walk(self) -> Iterator[Node]:
        """This node and all below it, depth first, in source order."""
        yield self
        for child in self.children():
            yield from child.walk()


# ---------------------------------------------------------------- identifiers


@dataclass(frozen=True)
class Ident(Node):
    """An identifier outside of expressions: where a name is defined, or refers to something that is no value."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Named(Node):
    """A node that defines, or refers to, one identifier."""

    ident: Ident

    @property
    def name(self) -> str:
        """The text of the identifier."""
        return self.ident.name


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Number(Node):
    """A number as written: ``4``, ``3e-4``, ``600M``."""

    text: str

    @property
    def value(self) -> int | float:
        """The number; K, M and G are powers of 1000."""
        scale = {"K": 10**3, "M": 10**6, "G": 10**9}.get(self.text[-1], 1)
        digits = self.text[:-1] if scale > 1 else self.text
        if not any(char in digits for char in ".eE"):
            return int(digits) * scale
        value = float(digits) * scale
        return int(value) if scale > 1 and value.is_integer() else value


@dataclass(frozen=True)
class String(Node):
    """Text between double quotes; ``value`` is the text without them, unescaped."""

    value: str


@dataclass(frozen=True)
class Name(Node):
    """A mention of a definition, parameter, line or built-in word (``true``, ``false``, ``relaxed``, ``open``)."""

    id: str


@dataclass(frozen=True)
class Tuple(Node):
    """``(a, b, c)`` with no or at least two items: parentheses around one expression only group."""

    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Field(Node):
    """``base.name``: a dimension of a tensor, a definition of a module, a name inside an element."""

    base: Expr
    ident: Ident

    @property
    def name(self) -> str:
        """The text of the identifier behind the dot."""
        return self.ident.name


@dataclass(frozen=True)
class Range(Node):
    """``low .. high`` inside an index, both ends included."""

    low: Expr
    high: Expr


@dataclass(frozen=True)
class Index(Node):
    """``base[i, j]``."""

    base: Expr
    indices: tuple[Expr | Range, ...]


@dataclass(frozen=True)
class Copy(Node):
    """``D@label``: the copy of definition D with that name; the label is a number, a name or in parentheses."""

    base: Expr
    label: Expr


@dataclass(frozen=True)
class Arg(Node):
    """One argument of a call, named or positional."""

    ident: Ident | None
    value: Expr

    @property
    def name(self) -> str | None:
        """The name of the parameter; None for a positional argument."""
        return None if self.ident is None else self.ident.name


@dataclass(frozen=True)
class Call(Node):
    """``func(args)``."""

    func: Expr
    args: tuple[Arg, ...]


@dataclass(frozen=True)
class Each(Node):
    """``each B`` as an argument: the call is made once per element of bundle B."""

    bundle: Expr


@dataclass(frozen=True)
class Earlier(Named):
    """``earlier n``: the elements of family n before this one."""

    @property
    def family(self) -> str:
        """The name of the family."""
        return self.ident.name


class End(Enum):
    """The end of a bundle that a `Take` starts from."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True)
class Take(Node):
    """``last k of B`` / ``first k of B``, clipped; without a count, the one element at that end."""

    end: End
    count: Expr | None
    bundle: Expr


@dataclass(frozen=True)
class Pipe(Node):
    """``a -> f -> g``: at least two stages."""

    stages: tuple[Expr, ...]


@dataclass(frozen=True)
class Unary(Node):
    """``-x`` or ``not x``."""

    op: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic (``+ - * / // % **``), comparison (``== != < <= > >= in``) or logic (``and or``)."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class If(Node):
    """``if cond then a else b``."""

    cond: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True)
class Dots(Node):
    """``..`` among the items of a choice: the numbers in between."""


@dataclass(frozen=True)
class Item(Node):
    """One item of a choice, present where its guard holds."""

    value: Expr | Dots
    guard: Expr | None = None


@dataclass(frozen=True)
class Choice(Node):
    """``a | b if cond | c``: at least two items, or one with a guard."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Pick(Node):
    """``pick k of B``; ``pick any of B`` has no count."""

    count: Expr | None
    bundle: Expr


Expr: TypeAlias = (
    Number | String | Name | Tuple | Field | Index | Copy | Call | Each | Earlier | Take | Pipe | Unary | Binary | If
    | Choice | Pick
)  # fmt: skip

# ---------------------------------------------------------------- lines of a body


@dataclass(frozen=True)
class Line(Node):
    """Anything that takes a line of its own. ``gap``: a blank line stands before it (kept, not compared)."""

    note: str | None = field(default=None, kw_only=True)
    gap: bool = field(default=False, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Comment(Line):
    """A comment on a line of its own; ``text`` starts with ``#``."""

    text: str


@dataclass(frozen=True)
class Dim(Named):
    """``i < size``: one index of a family."""

    size: Expr

    @property
    def index(self) -> str:
        """The name of the index."""
        return self.ident.name


@dataclass(frozen=True)
class Target(Node):
    """The left side of a binding: a name, a family, or several names at once (in a `where`)."""

    idents: tuple[Ident, ...]
    dims: tuple[Dim, ...] = ()

    @classmethod
    def of(cls, *names: str) -> Target:
        """The target of a line that no text holds."""
        return cls(tuple(map(Ident, names)))

    @property
    def names(self) -> tuple[str, ...]:
        """The defined names, in order."""
        return tuple(ident.name for ident in self.idents)

    @property
    def ident(self) -> Ident:
        """The first defined name; the only one outside of a `where`."""
        return self.idents[0]

    @property
    def name(self) -> str:
        """The text of the first defined name."""
        return self.idents[0].name


@dataclass(frozen=True)
class Binding(Line):
    """``target = value where a = ..., b = ...``."""

    target: Target
    value: Expr
    where: tuple[Binding, ...] = ()


@dataclass(frozen=True)
class Output(Line):
    """``output e``."""

    value: Expr


@dataclass(frozen=True)
class Aux(Line):
    """``aux e``: an extra output that exists only while a discrete network trains."""

    value: Expr


@dataclass(frozen=True)
class Require(Line):
    """``require c``: an architecture that does not meet the condition is not part of the space."""

    condition: Expr


class Sense(Enum):
    """Whether a preference asks for little or much of its quantity."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


@dataclass(frozen=True)
class Preference(Line):
    """``minimize q weight w``; without a weight, 1."""

    sense: Sense
    quantity: Expr
    weight: Expr | None = None


@dataclass(frozen=True)
class Prune(Line):
    """``prune``: lines that the output does not reach are removed."""


BodyLine: TypeAlias = Comment | Binding | Output | Aux | Require | Preference | Prune

# ---------------------------------------------------------------- definitions


@dataclass(frozen=True)
class Param(Named):
    """An input or a parameter; a network's inputs have a shape, ``image: [3, 32, 32]``."""

    shape: tuple[Expr, ...] | None = None
    default: Expr | None = None


@dataclass(frozen=True)
class Use(Line):
    """``use "path" as alias with D = E, ...``."""

    path: str
    ident: Ident | None = None
    replace: tuple[Binding, ...] = ()

    @property
    def alias(self) -> str | None:
        """The name that the file is used under, if it has one."""
        return None if self.ident is None else self.ident.name


@dataclass(frozen=True)
class External(Node):
    """``external "hsp:conv"``: the compiler or a plugin knows it by this name."""

    name: str


@dataclass(frozen=True)
class Block(Node):
    """``{ ... }``."""

    lines: tuple[BodyLine, ...]


@dataclass(frozen=True)
class NamedLine(Named, Line):
    """A line that defines one identifier."""

    @property
    def title(self) -> str:
        """How messages call the definition."""
        return self.ident.name

    @property
    def name_span(self) -> Span:
        """The place of the title."""
        return self.ident.span


@dataclass(frozen=True)
class OpDef(NamedLine):
    """``op f(x; k, c = x.c) = ...``; ``shape`` only on an external op."""

    inputs: tuple[Param, ...]
    params: tuple[Param, ...]
    body: Expr | Block | External
    shape: tuple[Expr, ...] | None = None


@dataclass(frozen=True)
class MenuDef(NamedLine):
    """``choice Micro = a | b``, ``choice Tree(d) = ...``."""

    params: tuple[Param, ...]
    value: Expr


class Level(Enum):
    """The word that a graph definition starts with."""

    CELL = "cell"
    STAGE = "stage"
    NETWORK = "network"


@dataclass(frozen=True)
class CopyPart(Named):
    """``Normal`` or ``Normal@0``; the label is a number or a name."""

    label: Ident | None = None

    def __str__(self) -> str:
        return self.name if self.label is None else f"{self.name}@{self.label}"


@dataclass(frozen=True)
class CopyName(Node):
    """``Normal@0``, and inside a copy ``Stage@1.Cell@0``: the last part is the definition, the others its owners."""

    parts: tuple[CopyPart, ...]

    @classmethod
    def of(cls, title: str) -> CopyName:
        """The name that is printed as ``title``."""
        split = (part.partition("@") for part in title.split("."))
        return cls(tuple(CopyPart(Ident(name), Ident(label) if label else None) for name, _, label in split))

    def __str__(self) -> str:
        return ".".join(map(str, self.parts))


@dataclass(frozen=True)
class GraphDef(Line):
    """A cell, stage or network."""

    level: Level
    copy: CopyName
    inputs: tuple[Param, ...]
    params: tuple[Param, ...]
    body: Block

    @property
    def ident(self) -> Ident:
        """The name of the definition itself, without label and owners."""
        return self.copy.parts[-1].ident

    @property
    def name(self) -> str:
        """The text of the definition's own name."""
        return self.ident.name

    @property
    def title(self) -> str:
        """The name with its label and owners, ``Stage@1.Cell@0``."""
        return str(self.copy)

    @property
    def name_span(self) -> Span:
        """The place of the title."""
        return self.copy.span


# ---------------------------------------------------------------- settings


@dataclass(frozen=True)
class Setting(NamedLine):
    """``name = expression`` in a search, train or provenance section."""

    value: Expr


@dataclass(frozen=True)
class Phase(NamedLine):
    """``phase micro = Net(args) { settings }``."""

    target: Expr
    settings: tuple[SettingLine, ...] = ()


SettingLine: TypeAlias = Comment | Setting | Phase | Require | Preference


@dataclass(frozen=True)
class Search(Line):
    """``search Net(args) by method { ... }``; without a target its phases name theirs.

    The settings of the method hold where the section has none of its own.
    """

    target: Expr | None
    method: Ident | None
    settings: tuple[SettingLine, ...]


@dataclass(frozen=True)
class Method(NamedLine):
    """``method name { ... }``: settings of a search, to be named by `search` sections."""

    settings: tuple[SettingLine, ...]


@dataclass(frozen=True)
class Train(Line):
    """``train Net(args) { ... }``: how the derived network is trained."""

    target: Expr | None
    settings: tuple[SettingLine, ...]


@dataclass(frozen=True)
class Equivalence(NamedLine):
    """``equivalence name { ... }``: when two architectures are the same."""

    settings: tuple[SettingLine, ...]


@dataclass(frozen=True)
class Provenance(Line):
    """``provenance { ... }``: what a derived file was made of."""

    settings: tuple[SettingLine, ...]


Definition: TypeAlias = OpDef | MenuDef | GraphDef
TopLine: TypeAlias = Comment | Use | OpDef | MenuDef | GraphDef | Search | Method | Train | Equivalence | Provenance


@dataclass(frozen=True)
class Module(Node):
    """A file: comments before the heading (none in canonical form), ``hsp 1``, then its lines."""

    lines: tuple[TopLine, ...]
    version: int = 1

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """The `use` lines, in order."""
        return tuple(line for line in self.lines if isinstance(line, Use))

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """The methods, in order."""
        return tuple(line for line in self.lines if isinstance(line, Method))

    @cached_property
    def searches(self) -> tuple[Search, ...]:
        """The `search` sections, in order."""
        return tuple(line for line in self.lines if isinstance(line, Search))

    @cached_property
    def trains(self) -> tuple[Train, ...]:
        """The `train` sections, in order."""
        return tuple(line for line in self.lines if isinstance(line, Train))

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """The definitions, in order."""
        return tuple(line for line in self.lines if isinstance(line, OpDef | MenuDef | GraphDef))
