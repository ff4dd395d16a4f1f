"""Sections, which are settings of a search, a training or a comparison; and the file that they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from .bodies import Comment, Line, Preference, Require
from .definitions import Definition, GraphDef, MenuDef, NamedLine, OpDef, Use
from .expressions import Expr
from .node import Ident, Node


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
