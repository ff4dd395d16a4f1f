"""Genotypes as plain data. The order of a node's edges carries no meaning, so they are kept sorted."""

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
    """Nodes, each a sum of edges, and the sources whose concatenation is the output, in that order."""

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(tuple(sorted(node)) for node in self.nodes))


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
    """A cell of NAS-Bench-201: one input, an edge from every tensor to every later one, the last is the output."""

    dag: Dag


Part: TypeAlias = Cells | Stages | Lattice


@dataclass(frozen=True)
class Genotype:
    """A text: one part, or stages and the cells in them; ``name`` is the variable that holds the first."""

    parts: tuple[Part, ...]
    name: str | None = field(default=None, compare=False)

    @property
    def cells(self) -> Cells | None:
        """The cells, if the text has some."""
        return next((part for part in self.parts if isinstance(part, Cells)), None)

    @property
    def stages(self) -> Stages | None:
        """The wiring of the stages, if the text has one."""
        return next((part for part in self.parts if isinstance(part, Stages)), None)

    @property
    def lattice(self) -> Lattice | None:
        """The cell of NAS-Bench-201, if the text is one."""
        return next((part for part in self.parts if isinstance(part, Lattice)), None)
