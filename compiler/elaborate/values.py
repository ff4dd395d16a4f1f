"""Values of expressions while a program is elaborated: a closed union."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard, assert_never, cast

from compiler.ir.graph import Block, SpaceGraph
from compiler.ir.shape import Shape
from compiler.ir.undecided import MOST, Open, TooManyCasesError, Var
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .trace import Position


@dataclass(frozen=True)
class Tensor:
    """Node ``index`` of a graph that is being built. ``name`` is the line, input or where-name it was bound to."""

    graph: SpaceGraph = field(repr=False)
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
class Extents(Bundle):
    """The extents of a tensor beyond its channels, ``x.rest``: arithmetic is elementwise."""


@dataclass(frozen=True)
class Picked:
    """The weighted candidates of a pick: as many tensors as candidates, of which some will stay."""

    decision: str
    items: tuple[Tensor, ...]


@dataclass(frozen=True)
class Function:
    """An operation, cell, stage or network. ``label`` is the full name of a labelled copy (`Stage@0`)."""

    definition: ast.OpDef | ast.GraphDef
    instance: Instance = field(repr=False)
    label: str | None = None

    def __hash__(self) -> int:
        # The hash of a definition would read its whole tree.
        return hash((self.instance, self.definition.name, self.label))

    @property
    def name(self) -> str:
        """The name of the definition, without any label."""
        return self.definition.name


@dataclass(frozen=True)
class Copies:
    """A name of which only labelled copies exist; it needs a label before it can be applied."""

    name: str
    definitions: tuple[ast.GraphDef, ...]
    instance: Instance = field(repr=False)


@dataclass(frozen=True)
class Mention:
    """Where a text mentions a menu: the decision is made, and written, there; ``line`` is the dotted place."""

    node: ast.Node
    position: Position[Value]
    line: str


@dataclass(frozen=True)
class Menu:
    """A `choice` definition that is still to be decided, once for each mention."""

    definition: ast.MenuDef
    instance: Instance = field(repr=False)
    args: tuple[Value, ...] = ()
    mention: Mention | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class Deferred:
    """A menu that is decided where it is first applied to tensors, even as a parameter of another definition.

    ``node`` mentions it: ``grammar(M)``, or, in a production, the menu itself. In a network it has the ``path`` of a
    decision, and the ``position`` where its derivation is recorded.
    """

    menu: Menu
    node: ast.Node = field(repr=False)
    path: str = ""
    position: Position[Value] | None = field(default=None, repr=False)


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
class NamespaceValue:
    """A namespace: the alias of a `use`, or the definitions that a phase will have found."""

    instance: Instance


class Unknown:
    """The value of a name whose line has an error: whatever uses the name reports nothing."""


UNKNOWN = Unknown()

Callables = Function | Copies | Menu | Deferred | Partial | Compose | Builtin

Number: TypeAlias = "int | float"

Value: TypeAlias = "Number | str | Var[Value] | Open | Tensor | Bundle | Picked | Callables | NamespaceValue"
"""The value of an expression. Truth values are `int`s, as in Python."""

NumberValue: TypeAlias = "Number | str | Open | Var[Number]"
"""An operand of arithmetic: a number, maybe undecided or open, or a text that is compared."""

Bound: TypeAlias = "Value | Unknown"
"""The value of a name."""


def params_of(block: Block) -> Mapping[str, Value]:
    """The parameters of a block that elaboration made; the graph's type does not tell that they are values."""
    return cast("Mapping[str, Value]", block.params)


def is_undecided_number(value: object) -> TypeGuard[Var[Number]]:
    """Whether a value is a number or truth value that a decision has not settled: items of a choice are of one kind."""
    return isinstance(value, Var) and isinstance(value.values[0], int | float)


def is_tensors(value: Value) -> bool:
    """Whether a value feeds inputs: a tensor, a pick, or a bundle with any."""
    match value:
        case Tensor() | Picked():
            return True
        case Bundle(items):
            return any(is_tensors(item) for item in items)
        case Var(values=values):
            return any(is_tensors(item) for item in values)
    return False


def flatten(value: Value) -> list[Value]:
    """The elements of a bundle, nested ones included; anything else is a bundle of one.

    Raises:
        TooManyCasesError: there are more than `MOST` of them.
    """
    if not isinstance(value, Bundle):
        return [value]
    found: list[Value] = []
    pending: list[Value] = [value]
    visited = 0
    while pending:
        item = pending.pop()
        visited += 1
        if visited > MOST:
            raise TooManyCasesError(f"this bundle has more than {MOST} elements")
        if isinstance(item, Bundle):
            pending += reversed(item.items)
        else:
            found.append(item)
    return found


# ---------------------------------------------------------------- values in words


def shown(value: Value) -> str:
    """A plain value as the language writes it; the kind of any other value."""
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
    """The kind of a value, in the language's words."""
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
        case Menu() | Deferred():
            return "a menu"
        case NamespaceValue():
            return "a file"
        case Open():
            return "an open width"
        case Var(values=values):
            return "an undecided " + ("number of tensors" if isinstance(values[0], Bundle) else "value")
        case _:
            assert_never(value)


def callable_name(function: Value) -> str:
    """The name of an application of ``function`` in paths and node names."""
    match function:
        case Function() | Menu():
            return function.definition.name
        case Copies(name=name):
            return name
        case Deferred(menu=menu):
            return callable_name(menu)
        case Partial(function=inner):
            return callable_name(inner)
        case Compose(stages=stages):
            return callable_name(stages[-1])
        case Var(decisions=decisions):
            return decisions[0].rpartition(".")[2]
    return "value"


def source_name(inputs: Sequence[Value]) -> str | None:
    """The name of the first tensor among inputs that has one."""
    return next((item.name for item in inputs if isinstance(item, Tensor) and item.name), None)


def describe(value: Value) -> str:
    """The value of a parameter, for reports."""
    match value:
        case Function(label=label):
            return label or value.name
        case Bundle(items=items):
            return f"({', '.join(describe(item) for item in items)})"
        case Partial() | Compose() | Menu() | Deferred() | Copies():
            return callable_name(value)
    return str(value)
