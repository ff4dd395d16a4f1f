"""What a node of a space graph does, apart from calling a block and from fused sums (`.graph`, `.sums`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from .undecided import Open, Var

if TYPE_CHECKING:
    from compiler.backend.plugins import Plugin

Scalar: TypeAlias = "int | float | bool | str"


@dataclass(frozen=True)
class Input:
    """An input of the graph."""

    index: int


@dataclass(frozen=True)
class Prim:
    """A primitive applied: ``name`` is a key of `compiler.ir.primitives.PRIMITIVES`, ``attrs`` its parameters.

    What a user declares `external` is called as declared; ``plugin`` is what does it, where it is allowed.
    """

    name: str
    attrs: tuple[tuple[str, Scalar | Var | Open], ...] = ()
    plugin: Plugin | None = None

    @cached_property
    def values(self) -> Mapping[str, Scalar | Var | Open]:
        return dict(self.attrs)


@dataclass(frozen=True)
class Mix:
    """The weighted sum of the inputs.

    The weight of input i is the sum over ``rows[i]`` of the product of the weights of that assignment: one item index
    per decision of ``decisions``.
    """

    decisions: tuple[str, ...]
    rows: tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True)
class Weigh:
    """One candidate of a pick: the input times its weight (times 1 where the candidate is a menu)."""

    decision: str
    index: int
