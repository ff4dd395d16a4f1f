"""A genotype as plain data. The edges of a node have no order of their own, so they are kept sorted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from hdas_dsl.text.source import NOWHERE, Span


@dataclass(frozen=True, order=True)
class Edge:
    """An operation on a tensor. Sources count the inputs of the cell or stage first, then its nodes."""

    source: int
    op: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    """The place of the operation's name."""


@dataclass(frozen=True)
class Dag:
    """Nodes, each a sum of edges, and the sources whose concatenation is the output, in that order.

    A node without an edge does not exist: it keeps its number, and nothing reads it.
    """

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(tuple(sorted(node)) for node in self.nodes))

    @property
    def existing(self) -> tuple[int, ...]:
        """The numbers of the nodes that exist, from 0."""
        return tuple(j for j, node in enumerate(self.nodes) if node)


@dataclass(frozen=True)
class Cells:
    """Normal and reduction cells: one of each for the whole network, or one for every stage and every border."""

    normals: tuple[Dag, ...]
    reductions: tuple[Dag, ...]
    per_stage: bool = False


@dataclass(frozen=True)
class Stages:
    """How cells are wired, stage by stage."""

    dags: tuple[Dag, ...]


@dataclass(frozen=True)
class Lattice:
    """A cell of NAS-Bench-201: one input, every node reads what is before it, the last node is the output."""

    dag: Dag


@dataclass(frozen=True)
class Vertex:
    """An operation on the sum of its sources: 0 is the input of the cell, k is the k-th vertex."""

    op: str
    sources: tuple[int, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    """The place of the operation's name."""


@dataclass(frozen=True)
class Matrix:
    """A cell of NAS-Bench-101: operations sit on vertices, and the output joins ``output``, numbered as sources are."""

    vertices: tuple[Vertex, ...]
    output: tuple[int, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Widths:
    """A network of the size space of NATS-Bench: the channels of its five parts."""

    widths: tuple[int, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Part: TypeAlias = Cells | Stages | Lattice | Matrix | Widths


@dataclass(frozen=True)
class Genotype:
    """A text: one part, or stages and the cells in them; ``name`` is what it assigns the first part to."""

    parts: tuple[Part, ...]
    name: str | None = field(default=None, compare=False)

    @property
    def cells(self) -> Cells | None:
        """The part that is normal and reduction cells."""
        return next((part for part in self.parts if isinstance(part, Cells)), None)

    @property
    def stages(self) -> Stages | None:
        """The part that is stages."""
        return next((part for part in self.parts if isinstance(part, Stages)), None)

    @property
    def lattice(self) -> Lattice | None:
        """The part that is a cell of NAS-Bench-201."""
        return next((part for part in self.parts if isinstance(part, Lattice)), None)
