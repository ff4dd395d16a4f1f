"""The lines of a body: what a cell, a stage, a network or an operation with a block consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from .expressions import Expr
from .node import Ident, Named, Node


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
