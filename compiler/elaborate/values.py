"""What an expression of the language stands for while a program is elaborated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, Var
from hdas_dsl.files import Instance
from hdas_dsl.tree import ast

Value: TypeAlias = Any
"""An int, float, bool, str, `Var`, `Open`, or one of the classes below."""


@dataclass(frozen=True)
class Tensor:
    """A node of the graph being built. ``name`` is the line, input or where-name that it was bound to."""

    owner: int
    index: int
    shape: Shape
    name: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Bundle:
    """Several values in order: ``(x, y, earlier n)``, a family, a tuple of numbers."""

    items: tuple[Value, ...]

    def __iter__(self) -> Iterator[Value]:
        return iter(self.items)


@dataclass(frozen=True)
class Picked:
    """The weighted candidates of a pick: as many tensors as candidates, of which ``take`` (None: any) will stay."""

    decision: str
    take: int | None
    items: tuple[Tensor, ...]


@dataclass(frozen=True)
class Function:
    """An operation, cell, stage or network. ``label`` is the full name of a labelled copy (`Stage@0`)."""

    definition: ast.OpDef | ast.GraphDef
    instance: Instance = field(repr=False)
    label: str | None = None

    @property
    def name(self) -> str:
        return self.definition.name


@dataclass(frozen=True)
class Copies:
    """A name of which only labelled copies exist; it needs a label before it can be applied."""

    name: str
    definitions: tuple[ast.GraphDef, ...]
    instance: Instance = field(repr=False)


@dataclass(frozen=True)
class Menu:
    """A `choice` definition that nobody has decided yet."""

    definition: ast.MenuDef
    instance: Instance = field(repr=False)
    args: tuple[Value, ...] = ()
    mention: tuple[ast.Node, Any] | None = field(default=None, compare=False, repr=False)
    """The node and the frame of the text that mention it: derivation writes the decision there."""


@dataclass(frozen=True)
class Partial:
    """Something applicable with some parameters given, by name or as further positions."""

    function: Value
    positional: tuple[Value, ...]
    named: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Compose:
    """``f -> g`` without a tensor."""

    stages: tuple[Value, ...]


@dataclass(frozen=True)
class Builtin:
    """A function of the language itself, such as ``sum``."""

    name: str


@dataclass(frozen=True)
class Space:
    """A namespace: the alias of a `use`, or the definitions that a phase will have found."""

    instance: Instance


class Unknown:
    """The value of a line that has an error: whatever uses it stays silent."""


UNKNOWN = Unknown()

Callables = Function | Copies | Menu | Partial | Compose | Builtin


def shown(value: Value) -> str:
    """A plain value as the language writes it; what any other value is."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | Open():
            return str(value)
        case str():
            return f'"{value}"'
        case Var(values=values) if all(isinstance(item, int | float | Open) for item in values):
            return str(value)
    return kind(value)


def kind(value: Value) -> str:
    """What a value is, in the language's words."""
    match value:
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Tensor():
            return "a tensor"
        case Bundle() | Picked():
            return "a bundle"
        case Function() | Partial() | Compose() | Builtin():
            return "an operation"
        case Copies():
            return "a set of copies"
        case Menu():
            return "a menu"
        case Space():
            return "a file"
        case Open():
            return "an open width"
    return "an undecided value"
