"""The space graph: what a program elaborates to. Plain data, owned by networkx; no torch here.

A `SpaceGraph` is hierarchical: the node of an operation, cell or stage is a `Call` of a `Block`, which has a graph of
its own; equal applications share one block. `flatten` (a pass) inlines them. Choices appear as `Mix` and `Weigh` nodes
that name a `Decision` by its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

from hdas_dsl.text.source import NOWHERE, Span

from .undecided import Open, Var, largest

if TYPE_CHECKING:
    from compiler.backend.plugins import Plugin

Extent: TypeAlias = "int | Var[int] | Open"
Scalar: TypeAlias = "int | float | bool | str"


@dataclass(frozen=True)
class Shape:
    """The shape of one image's tensor, channels first: (c, h, w), (c, n) for tokens, (c) for a vector."""

    dims: tuple[Extent, ...]

    @property
    def c(self) -> Extent:
        return self.dims[0]

    @property
    def space(self) -> tuple[Extent, ...]:
        """Everything but the channels."""
        return self.dims[1:]

    @cached_property
    def largest(self) -> tuple[int, ...]:
        """The shape with every undecided width at its largest; an open width counts as 0."""
        return tuple(0 if isinstance(dim, Open) else int(largest(dim)) for dim in self.dims)

    def __str__(self) -> str:
        return "x".join(str(dim) for dim in self.dims)


class DecisionKind(Enum):
    """What is chosen: one of several operations, k (or any) of several tensors, a number, a size."""

    OPERATION = "operation"
    PICK = "pick"
    ANY = "any"
    NUMBER = "number"
    SIZE = "size"


@dataclass(frozen=True)
class Decision:
    """A choice of the space.

    ``items`` are readable and in source order; ``derivable`` says which of them a discrete architecture may have. A
    pick of menus has no alphas of its own: ``candidates`` then holds the path of each candidate's own decision, and
    ``sources`` the line or input that each candidate reads, where it is one.
    """

    path: str
    kind: DecisionKind
    items: tuple[str, ...]
    derivable: tuple[bool, ...]
    copy: str
    take: int = 1
    candidates: tuple[str | None, ...] = ()
    sources: tuple[str | None, ...] = ()
    numbers: tuple[int | float, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def alphas(self) -> int:
        """How many architecture parameters it has."""
        return 0 if self.candidates else len(self.items)


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
    attrs: tuple[tuple[str, Scalar | Var[Scalar] | Open], ...] = ()
    plugin: Plugin | None = None

    @cached_property
    def values(self) -> Mapping[str, Scalar | Var[Scalar] | Open]:
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


@dataclass(frozen=True, eq=False)
class Block:
    """An operation, cell, stage or network applied to inputs of known shapes.

    ``copy`` is the path of its copy; ``params`` are the values of its parameters, ``arguments`` the same for people.
    """

    name: str
    level: str
    copy: str | None
    graph: SpaceGraph
    arguments: tuple[tuple[str, str], ...] = ()
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """An instance of a block."""

    block: Block


@dataclass(frozen=True)
class Part:
    """A primitive that another node computes along; its parameters stay where they were, under its name."""

    name: str
    scope: tuple[str, ...]
    prim: Prim
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
    """``weight * norm(projection(filter(relu(before(input)))))``: each where it is there.

    ``before`` and ``norm`` are batch norms, ``filter`` is a depthwise convolution, a crop or, where neither norm nor
    ReLU is before it, a pool; ``projection`` is a pointwise convolution, which may take strides where no filter is but
    a crop. The weight is the product of its factors, 1 without any. ``tied`` are further batch norms without parameters
    of what ``norm`` reads, whose running statistics follow. ``columns`` are the channels of the sum that the term is
    added to, and of its norm those that are taken; None for all.
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

    With ``keep``, what filters give is kept for the backward pass; else it is computed again there.
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


Payload: TypeAlias = "Input | Prim | Mix | Weigh | Call | Sum | Sums | Item"


@dataclass(frozen=True)
class Node:
    """One tensor of a graph.

    ``name`` is unique in the graph, dotted by line and slot; ``line`` is set where it is a line's value. In a flat
    graph ``scope`` names the cells and stages that it lies in, outermost first, each by its own full name.
    """

    name: str
    payload: Payload
    shape: Shape
    line: str | None = field(default=None, compare=False)
    scope: tuple[str, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


class SpaceGraph:
    """A thin owner of a `networkx.MultiDiGraph`: node ids are in topological order, edge keys are input slots."""

    def __init__(self) -> None:
        self.nx = nx.MultiDiGraph()
        self.inputs: list[int] = []
        self.output: int | None = None
        self.aux: int | None = None
        self._next = 0

    def add(self, node: Node, sources: tuple[int, ...] = ()) -> int:
        """Add a node fed by ``sources``, in slot order; its id."""
        index = self._next
        self._next += 1
        self.nx.add_node(index, node=node)
        for slot, source in enumerate(sources):
            self.nx.add_edge(source, index, key=slot)
        if isinstance(node.payload, Input):
            self.inputs.append(index)
        return index

    def node(self, index: int) -> Node:
        found: Node = self.nx.nodes[index]["node"]
        return found

    def sources(self, index: int) -> tuple[int, ...]:
        """The nodes that feed a node, in slot order (one may stand there twice)."""
        # The plain dictionaries: networkx's views of them take most of the time of a check.
        found = [(slot, source) for source, slots in self.nx._pred[index].items() for slot in slots]
        return tuple(source for _, source in sorted(found))

    def order(self) -> Iterator[tuple[int, Node]]:
        """All nodes, sources first."""
        for index in sorted(self.nx.nodes):
            yield index, self.nx.nodes[index]["node"]

    def name_line(self, index: int, line: str) -> None:
        """Say that a node is the value of a line (the first that it is bound to)."""
        node = self.node(index)
        if node.line is None:
            self.nx.nodes[index]["node"] = replace(node, line=line)

    @property
    def outputs(self) -> tuple[int, ...]:
        return tuple(index for index in (self.output, self.aux) if index is not None)

    def pretty(self) -> str:
        """The graph as text: one node a line, sources by name."""
        lines = []
        for index, node in self.order():
            sources = ", ".join(self.node(source).name for source in self.sources(index))
            mark = "".join(f" [{word}]" for word, at in (("output", self.output), ("aux", self.aux)) if at == index)
            lines.append(f"{node.name} = {describe(node.payload)}({sources}) : {node.shape}{mark}")
        return "\n".join(lines) + "\n"

    def __len__(self) -> int:
        return len(self.nx)


def describe(payload: Payload) -> str:
    """A payload in a few words."""
    match payload:
        case Input():
            return "input"
        case Prim(name=name, attrs=attrs):
            return name + (f"[{', '.join(f'{key}={value}' for key, value in attrs)}]" if attrs else "")
        case Mix(decisions=decisions, rows=rows):
            items = ", ".join("+".join("".join(map(str, assignment)) for assignment in row) for row in rows)
            return f"mix[{' * '.join(decisions)}: {items}]"
        case Weigh(decision=decision, index=index):
            return f"weigh[{decision}: {index}]"
        case Call(block=block):
            return f"{block.level} {block.copy or block.name}"
        case Sum():
            return f"sum[{_described_sum(payload)}]"
        case Sums(sums=sums):
            return f"sums[{' | '.join(map(_described_sum, sums))}]"
        case Item(index=index):
            return f"item[{index}]"


def _described_sum(total: Sum) -> str:
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
