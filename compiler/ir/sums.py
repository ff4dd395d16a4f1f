"""Sums that are computed as a whole: the payloads that passes make of mixes, additions and what they read."""

from __future__ import annotations

from dataclasses import dataclass

from .payloads import Weigh
from .primitives.base import Operator
from .shape import Shape


@dataclass(frozen=True)
class Part:
    """A primitive that is fused into another node; its parameters stay where they were, under its name."""

    name: str
    scope: tuple[str, ...]
    op: Operator
    inputs: tuple[Shape, ...]
    shape: Shape


@dataclass(frozen=True)
class Share:
    """A factor of a term's weight: that of one input of a `Mix`."""

    decisions: tuple[str, ...]
    row: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Columns:
    """Some channels of a tensor: ``count`` of ``width``, from ``first`` on."""

    first: int
    count: int
    width: int


@dataclass(frozen=True)
class Term:
    """``weight * norm(projection(filter(relu(before(input)))))``; every part but the input may be left out.

    ``before`` and ``norm`` are batch norms, ``filter`` is a depthwise convolution, a crop or, where neither norm nor
    ReLU is before it, a pool; ``projection`` is a pointwise convolution, which may have a stride if the filter is a
    crop or left out. The weight is the product of its factors, 1 without any. ``tied`` are further batch norms without
    parameters on the input of ``norm``, whose running statistics are updated with it. ``columns`` are the channels of
    the sum that the term is added to, and the channels of its norm that are taken; None for all.
    """

    weight: tuple[Share | Weigh, ...] = ()
    before: Part | None = None
    relu: bool = False
    filter: Part | None = None
    projection: Part | None = None
    norm: Part | None = None
    tied: tuple[Part, ...] = ()
    columns: Columns | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The primitives that have parameters or state, in the order in which they are applied."""
        chain = (self.before, self.filter, self.projection, self.norm, *self.tied)
        return tuple(part for part in chain if part is not None)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is applied to the input but the weight."""
        return not self.parts and not self.relu


@dataclass(frozen=True)
class Sum:
    """The sum of one term per input, computed as a whole.

    With ``keep``, the outputs of filters are kept for the backward pass; else they are computed again there.
    """

    terms: tuple[Term, ...]
    keep: bool = True


@dataclass(frozen=True)
class Sums:
    """Several sums of the same inputs, computed together; `Item` nodes read them.

    The node is fed by the inputs of all terms of the first sum, then of the second, and so on.
    """

    sums: tuple[Sum, ...]


@dataclass(frozen=True)
class Item:
    """One of several sums."""

    index: int


def describe_sum(total: Sum) -> str:
    """A sum in one line, as `--emit` shows it."""
    again = "" if total.keep else "; filters again in backward"
    return " + ".join(map(_described, total.terms)) + again


def _described(term: Term) -> str:
    """A term as what is applied to its input, in order, and its weight."""
    chain = ["" if term.before is None else term.before.name, "relu" if term.relu else ""]
    chain += [part.name for part in (term.filter, term.projection, term.norm) if part is not None]
    chain[-1:] = [" = ".join([*chain[-1:], *(part.name for part in term.tied)])]
    place = ""
    if term.columns is not None:
        place = f" @ {term.columns.first}..{term.columns.first + term.columns.count - 1}"
    return " * ".join([*map(_factor, term.weight), " -> ".join(filter(None, chain)) or "1"]) + place


def _factor(factor: Share | Weigh) -> str:
    if isinstance(factor, Weigh):
        return f"{factor.decision}.{factor.index}"
    return f"{' * '.join(factor.decisions)}.{'+'.join(''.join(map(str, joint)) for joint in factor.row)}"
