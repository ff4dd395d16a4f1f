"""Payloads of nodes of a space graph; calls of blocks are in `.graph`, fused sums in `.sums`."""

from __future__ import annotations

from dataclasses import dataclass

from .primitives.base import Operator


@dataclass(frozen=True)
class Input:
    """An input of the graph."""

    index: int


@dataclass(frozen=True)
class Prim:
    """A primitive or a plugin, applied."""

    op: Operator

    @property
    def name(self) -> str:
        """The name of the operator, as messages and counts call it."""
        return self.op.called


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
