"""Quantities of a network, which can be preferred or required, and conditions over them, as plain data.

`compiler.elaborate.quantities` reads them, `compiler.ir.conditions` evaluates conditions.

Depth and the expected number of cells follow Liu et al., "Unchain the Search Space with Hierarchical Differentiable
Architecture Search" (AAAI 2021); `compiler.searcher.relaxations.objective` computes them from alphas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, TypeAlias

from hdas_dsl.names import is_copy
from hdas_dsl.text.source import NOWHERE, Span
from hdas_dsl.tree.ast import Sense
from hdas_dsl.tree.words import TOTALS, QuantityArgument

from .counted import Callee, Counted
from .graph import Block

Number: TypeAlias = int | float


class DepthForm(Enum):
    """How strong an edge is: raw alphas, or the softmax over the window of each edge's largest raw alpha."""

    RAW = "raw"
    WINDOW = "window"


@dataclass(frozen=True)
class Edge:
    """An edge of a family: the decision on its operation, and the element that it comes from (None: an input)."""

    decision: str
    source: int | None


@dataclass(frozen=True)
class Depth:
    """The differentiable depth of a family.

    ``nodes[j]`` are the edges into element j. With ``ends``, d_j is multiplied by 1 + j * beta for the end that makes j
    the last element, before later elements use it.
    """

    family: str
    nodes: tuple[tuple[Edge, ...], ...]
    form: DepthForm = DepthForm.WINDOW
    ends: bool = False
    length: Length | None = None
    """Where the family may end, and with it beta."""


@dataclass(frozen=True)
class Length:
    """The expected number of elements of a family, one of ``sizes``; a plain number when it has no decision."""

    family: str
    decision: str | None
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A plain number; a truth value counts as 0 or 1."""

    value: Number


@dataclass(frozen=True)
class Arithmetic:
    """``left op right`` of two quantities; op is one of ``+ - * / **``, in a condition also ``//`` and ``%``."""

    op: str
    left: Quantity
    right: Quantity


@dataclass(frozen=True)
class Logarithm:
    """The natural logarithm of a quantity."""

    operand: Quantity


class AlphaForm(Enum):
    """A measure of the alphas of each decision, whose mean regularises a search."""

    LOGSUMEXP = "logsumexp"
    """log sum exp of the alphas, whose gradient is their softmax (beta-DARTS)."""
    CERTAINTY = "certainty"
    """The mean over the items of (w - 1/2)^2, w their weights (FairDARTS)."""
    ENTROPY = "entropy"
    """The entropy of the weights, in nats."""
    DIVERGENCE = "divergence"
    """The Kullback-Leibler divergence of the Dirichlet distribution from the flat one (DrNAS)."""
    SQUARES = "squares"
    """The sum of the squares of the alphas."""


@dataclass(frozen=True)
class AlphaMean:
    """The mean over the decisions of a network, or of the copies of one cell or stage, of a measure of their alphas."""

    form: AlphaForm
    copy: str | None = None
    """The name of a copy, with its label or without, which then stands for all of them; None for the whole network."""

    def covers(self, copy: str) -> bool:
        """Whether the decisions of a copy are among those that are measured."""
        return self.copy is None or is_copy(copy, self.copy)


@dataclass(frozen=True)
class Total:
    """A quantity that adds up over a network: parameters, multiply-adds, bytes of memory, edges, milliseconds by a
    table, applications of an operation. ``argument`` is the table's path as written, or the operation's name.

    ``copy`` limits a structural quantity to the text that mentions it. ``file`` is where the table lies; None where the
    path leaves the folders that a text may look into. ``counted`` is the operation that ``argument`` names; None where
    no name of the text does, but one of a file further on: then all operations of that name are counted.
    """

    name: str
    argument: str | None = None
    copy: str | None = None
    file: Path | None = field(default=None, repr=False)
    counted: Counted | None = field(default=None, repr=False)
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def structural(self) -> bool:
        """Whether it counts what is written in a text, so that counting architectures can take part in it."""
        return TOTALS[self.name].structural

    @property
    def by_table(self) -> bool:
        """Whether its values stand in a table of the user's."""
        return TOTALS[self.name].argument is QuantityArgument.TABLE

    def counts(self, applied: Callee) -> bool:
        """Whether it counts an application."""
        if self.counted is not None:
            return self.counted.counts(applied)
        return self.argument == (applied.name if isinstance(applied, Block) else applied.called)

    def __str__(self) -> str:
        if self.argument is None:
            return self.name
        return f'{self.name}("{self.argument}")' if self.by_table else f"{self.name}({self.argument})"


@dataclass(frozen=True)
class Indicator:
    """1 where a condition holds, 0 where it does not."""

    condition: Condition


@dataclass(frozen=True)
class Unknown:
    """An expression of a condition that has no value of an architecture, such as the depth of a family."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Loss:
    """The validation loss."""


Quantity: TypeAlias = (
    "Depth | Length | AlphaMean | Constant | Arithmetic | Logarithm | Total | Loss | Indicator | Unknown"
)


# ---------------------------------------------------------------- conditions


class Relation(Enum):
    """How two quantities are compared."""

    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True)
class Comparison:
    """``left relation right``."""

    relation: Relation
    left: Quantity
    right: Quantity


@dataclass(frozen=True)
class And:
    """Both conditions."""

    left: Condition
    right: Condition


@dataclass(frozen=True)
class Or:
    """One condition, the other, or both."""

    left: Condition
    right: Condition


Condition: TypeAlias = Comparison | And | Or
"""A condition over quantities. There is no negation: `compiler.ir.conditions.negated` turns each relation around."""


# ---------------------------------------------------------------- statements


class WeightSchedule(Protocol):
    """A number that follows from the epoch."""

    def __call__(self, epoch: float, epochs: int) -> float:
        """The number after ``epoch`` of ``epochs`` epochs, 0 being the start."""


@dataclass(frozen=True)
class Preference:
    """A soft statement: ``sense`` the quantity with this weight. ``name`` stands in logs: ``depth Stage@0``."""

    name: str
    sense: Sense
    quantity: Quantity
    weight: float | WeightSchedule

    def weight_at(self, epoch: float, epochs: int) -> float:
        """The weight after ``epoch`` of ``epochs`` epochs."""
        return self.weight if isinstance(self.weight, int | float) else self.weight(epoch, epochs)


def parts(quantity: Quantity) -> Iterator[Quantity]:
    """A quantity and all that it is made of, from left to right."""
    yield quantity
    match quantity:
        case Arithmetic(left=left, right=right):
            yield from parts(left)
            yield from parts(right)
        case Logarithm(operand=operand):
            yield from parts(operand)
        case Indicator(condition=condition):
            yield from parts_of(condition)


def parts_of(condition: Condition) -> Iterator[Quantity]:
    """Every quantity of a condition and all that these are made of, from left to right."""
    match condition:
        case Comparison(left=left, right=right):
            yield from parts(left)
            yield from parts(right)
        case And(left=first, right=second) | Or(left=first, right=second):
            yield from parts_of(first)
            yield from parts_of(second)
