"""Expressions: whatever has a value, or stands inside of such."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .node import Ident, Named, Node


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
    """One item of a choice, present where its guard holds; its weight is its share of draws by weights."""

    value: Expr | Dots
    guard: Expr | None = None
    weight: Expr | None = None


@dataclass(frozen=True)
class Choice(Node):
    """``a | b if cond | c``: at least two items, or one with a guard."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Pick(Node):
    """``pick k of B``, ``pick a..b of B``; ``pick any of B`` has no count."""

    count: Expr | Range | None
    bundle: Expr


Expr: TypeAlias = (
    Number | String | Name | Tuple | Field | Index | Copy | Call | Each | Earlier | Take | Pipe | Unary | Binary | If
    | Choice | Pick
)  # fmt: skip
