"""Definitions: operations, choices, cells, stages and networks, and the files that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from hdas_dsl.text.source import Span

from .bodies import Binding, BodyLine, Line
from .expressions import Expr
from .node import Ident, Named, Node


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


Definition: TypeAlias = OpDef | MenuDef | GraphDef
