"""Which definitions of a space a genotype fills in, and with which operations; what does not fit is refused here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name
from hdas_dsl.units import LIBRARY

from .benchmarks import fill_vertices, vertex_template
from .fill import fill
from .inline import Inliner, Site, resolve
from .menu import LATTICE_NAMES, VERTEX_NAMES, Operation, in_sight
from .model import Cells, Dag, Edge, Genotype, Lattice, Matrix, Stages, Vertex
from .space import IncompatiblePartsError, Space, read_file
from .template import Template, template_of

NORMAL, REDUCTION, STAGE, CELL = "Normal", "Reduction", "Stage", "Cell"
"""The names of the definitions that genotypes fill in."""

CELL_SPACE = "darts.hsp"
"""The space whose cells a genotype of cells fills in, where the given space has fixed cells."""


@dataclass(frozen=True)
class _Edges:
    """A definition with edges from a genotype; ``open`` are operations allowed beside those of the space's menus."""

    template: Template
    dag: Dag
    label: int | None
    open: Mapping[str, Operation]
    aliases: Mapping[str, str]

    @property
    def title(self) -> str:
        """How messages call it."""
        name = self.template.site.definition.name
        return name if self.label is None else f"{name}@{self.label}"

    def all(self) -> Iterator[tuple[int, Edge]]:
        """The edges, with the numbers of their nodes."""
        return ((j, edge) for j, node in enumerate(self.dag.nodes) for edge in node)

    def operations(self, j: int, source: int) -> Mapping[str, Operation]:
        """The operations of an edge, by the names that genotypes use."""
        return _named(self.open or self.template.operations(j, source), self.aliases)


def _named(found: Mapping[str, Operation], aliases: Mapping[str, str]) -> dict[str, Operation]:
    """Operations by the names that genotypes use; ``aliases`` are those of the space that differ."""
    words = {own: word for word, own in aliases.items()}
    return {words.get(own, own): operation for own, operation in found.items()}


@dataclass
class Plan:
    """How a genotype fills in a space.

    ``makers`` write the definitions of cells and stages, in the order of the file; ``references`` are what the
    network's parameters for them stand for; ``counts`` are parameters that the genotype itself says.
    """

    space: Space
    loader: Loader
    inliner: Inliner
    strict: bool
    """Whether the edges have to be among those that the space's own menus offer."""
    makers: list[Callable[[], ast.GraphDef]] = field(default_factory=list)
    references: dict[str, ast.Expr] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, genotype: Genotype) -> None:
        """Plan all parts of a genotype.

        Raises:
            HspError: operations that the space does not have, all of them at once.
            IncompatiblePartsError: definitions that the space does not have.
        """
        edges: list[_Edges] = []
        for part in genotype.parts:
            match part:
                case Lattice(dag=dag):
                    edges.append(self._edges(self.template(CELL), dag, None, LATTICE_NAMES))
                case Cells():
                    edges += self._cells(part)
                case Stages(dags=dags):
                    template = self.template(STAGE)
                    edges += (self._edges(template, dag, k) for k, dag in enumerate(dags))
                    self._refer(STAGE, template.site)
                    self.counts |= {"stages": len(dags), "cells": max(len(dag.nodes) for dag in dags)}
                case Matrix():
                    self._matrix(part)
        self._check(edges)
        self.makers += map(self._maker, edges)

    # ------------------------------------------------------------ the space's definitions

    def template(self, role: str) -> Template:
        """The searched definition that plays a role: the space's own, or one of `CELL_SPACE` where it takes any."""
        for site in self.space.sites(role):
            found = template_of(site)
            if found is not None:
                return found
        parameters = {param.name for param in self.space.network.definition.params}
        shipped = self._shipped(role) if role in (NORMAL, REDUCTION) and role in parameters else None
        found = None if shipped is None else template_of(shipped)
        if found is None:
            raise IncompatiblePartsError(f"{self.space.name} has no searched '{role}' that a genotype could fill in")
        return found

    def _shipped(self, role: str) -> Site | None:
        """A cell of `CELL_SPACE`, with the replacements that the space makes in its operations."""
        instance = read_file(LIBRARY / CELL_SPACE, self.loader)
        network = self.space.network.instance
        for use, unit in network.unit.imports:
            if unit is not None and unit.shipped == "lib/darts.hsp":
                instance = network.used(use, instance.unit)
                break
        entity = resolve(ast.Name(role), instance)
        plain = None if entity is None else entity.plain
        return Site(plain, entity.instance) if entity is not None and isinstance(plain, ast.GraphDef) else None

    def _edges(
        self, template: Template, dag: Dag, label: int | None, aliases: Mapping[str, str] | None = None
    ) -> _Edges:
        """A definition to fill in. The menus of a space that was named, and of benchmarks, are all that there is."""
        room = template.room
        name = template.site.definition.name
        if room is not None and len(dag.nodes) > room:
            raise IncompatiblePartsError(
                f"the genotype has {len(dag.nodes)} nodes, and '{name}' of {self.space.name} has {room}"
            )
        closed = aliases is not None or (self.strict and self._owns(template))
        self.inliner.placed[id(template.site.definition)] = ast.Name(name)
        return _Edges(template, dag, label, {} if closed else in_sight(template.site.instance), aliases or {})

    def _owns(self, template: Template) -> bool:
        """Whether a template is the space's own, rather than one of `CELL_SPACE`."""
        role = template.site.definition.name
        return any(site.definition is template.site.definition for site in self.space.sites(role))

    def _refer(self, role: str, site: Site) -> None:
        self.references[role] = ast.Name(site.definition.name)

    def _cells(self, cells: Cells) -> Iterator[_Edges]:
        normal, reduction = self.template(NORMAL), self.template(REDUCTION)
        for k, dag in enumerate(cells.normals):
            # A reduction cell opens the stage whose number it bears.
            if 0 < k <= len(cells.reductions):
                yield self._edges(reduction, cells.reductions[k - 1], k)
            yield self._edges(normal, dag, k if cells.per_stage else None)
        if not cells.per_stage:
            for dag in cells.reductions:
                yield self._edges(reduction, dag, None)
        else:
            self.counts["stages"] = len(cells.normals)
        self._refer(NORMAL, normal.site)
        self._refer(REDUCTION, reduction.site)
        widths = {len(dag.concat) for dag in (*cells.normals, *cells.reductions)}
        if len(widths) == 1:
            self.counts["nodes"] = widths.pop()

    def _matrix(self, matrix: Matrix) -> None:
        template = next(filter(None, map(vertex_template, self.space.sites(CELL))), None)
        if template is None:
            raise IncompatiblePartsError(
                f"{self.space.name} has no '{CELL}' whose nodes are operations on sums, as in NAS-Bench-101"
            )
        operations = _named(template.operations, VERTEX_NAMES)
        unknown = [vertex for vertex in matrix.vertices if vertex.op not in operations]
        if unknown:
            raise HspError(self._unknown(vertex.op, vertex.span, "a vertex", operations) for vertex in unknown)
        self.inliner.placed[id(template.site.definition)] = ast.Name(template.site.definition.name)

        def operation(vertex: Vertex) -> ast.Expr:
            found = operations[vertex.op]
            return self.inliner.expr(found.expr, found.instance)

        self.makers.append(lambda: fill_vertices(template, matrix, operation, self.inliner))

    # ------------------------------------------------------------ operations

    def _check(self, edges: Sequence[_Edges]) -> None:
        """Refuse operations that the space does not have."""
        found: list[Diagnostic] = []
        for item in edges:
            for j, edge in item.all():
                operations = item.operations(j, edge.source)
                if edge.op not in operations:
                    node = element_name(item.template.family, (j,))
                    place = f"the edge from '{item.template.source(edge.source)}' to '{item.title}.{node}'"
                    found.append(self._unknown(edge.op, edge.span, place, operations))
        if found:
            raise HspError(sorted(found, key=lambda diagnostic: diagnostic.span.start))

    def _unknown(self, op: str, span: Span, place: str, known: Mapping[str, Operation]) -> Diagnostic:
        guess = suggest(op, known)
        if self.strict:
            have = f"it has {', '.join(known)}" if known else "it has none"
            message = f"{self.space.name} has no operation '{op}' for {place}: {have}"
            return Diagnostic(Code.UNKNOWN_NAME, span, message, guess)
        hint = guess or f"known: {', '.join(known)}"
        return Diagnostic(Code.UNKNOWN_NAME, span, f"unknown operation '{op}'", hint)

    def _maker(self, item: _Edges) -> Callable[[], ast.GraphDef]:
        def operation(j: int, edge: Edge) -> ast.Expr:
            found = item.operations(j, edge.source)[edge.op]
            return self.inliner.expr(found.expr, found.instance)

        return lambda: fill(item.template, item.dag, item.label, operation, self.inliner)
