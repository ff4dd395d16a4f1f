"""A text with its decisions made, as a small graph of terms: what two architectures are compared by.

A vertex is an operation, or a sum, or an instance of a copy; lines and what they are called leave no trace. Labels may
be variables: a decision that changes nothing but the label of one vertex need not be made, and a copy with choices of
its own is compared by itself (`classes.unique`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from compiler.ir.primitives.base import Operator

Label = tuple[object, ...]


class Constant(Enum):
    """A tensor that no weight or input changes."""

    ZERO = auto()


ZERO: Label = (Constant.ZERO,)


@dataclass(frozen=True)
class Variable:
    """A part of a label that is one of a domain."""

    name: str
    domain: frozenset[object]


@dataclass(frozen=True)
class Term:
    """A vertex, by its label and the positions of its sources."""

    label: Label
    sources: tuple[int, ...] = ()

    @property
    def combines(self) -> Operator | None:
        """The operator whose inputs it combines in any order; concatenated, that orders the channels another way."""
        head = self.label[0]
        return head if isinstance(head, Operator) and head.commutative else None

    @property
    def symmetric(self) -> bool:
        """Whether its sources have no order."""
        return self.combines is not None

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in its labels."""
        return tuple(part for part in self.label if isinstance(part, Variable))
