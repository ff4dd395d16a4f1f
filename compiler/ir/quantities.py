"""What can be preferred or required: quantities of a network, as plain data.

Depth and the expected number of cells follow Liu et al., "Unchain the Search Space with Hierarchical Differentiable
Architecture Search" (AAAI 2021); `compiler.searcher.relaxations.objective` computes them from alphas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from hdas_dsl.tree.ast import Sense


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
    value: float


@dataclass(frozen=True)
class Arithmetic:
    """``left op right`` of two quantities; op is one of ``+ - * / **``."""

    op: str
    left: Quantity
    right: Quantity


@dataclass(frozen=True)
class Logarithm:
    operand: Quantity


@dataclass(frozen=True)
class Total:
    """A quantity that adds up over a network: parameters, multiply-adds, memory, edges, latency by a table, a count of
    an operation. ``argument`` is the table's path as written, or the operation's name.

    ``copy`` limits `edges` and `count` to the text that speaks of them. ``file`` is where the table lies; None where
    the path leaves the folders that a text may look into.
    """

    name: str
    argument: str | None = None
    copy: str | None = None
    file: Path | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.argument is None:
            return self.name
        return f'{self.name}("{self.argument}")' if self.name == "latency" else f"{self.name}({self.argument})"


@dataclass(frozen=True)
class Loss:
    """The validation loss."""


Quantity: TypeAlias = "Depth | Length | Constant | Arithmetic | Logarithm | Total | Loss"


@dataclass(frozen=True)
class Preference:
    """A soft statement: ``sense`` the quantity with this weight. ``name`` is for logs: ``depth Stage@0``."""

    name: str
    sense: Sense
    quantity: Quantity
    weight: float


def parts(quantity: Quantity) -> Iterator[Quantity]:
    """A quantity and all that it is made of."""
    yield quantity
    match quantity:
        case Arithmetic(left=left, right=right):
            yield from parts(left)
            yield from parts(right)
        case Logarithm(operand=operand):
            yield from parts(operand)
