"""A genotype and the space around it as a module of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hdas_dsl.files import LIBRARY, Entity, Instance, Loader, Namespace
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError, suggest
from hdas_dsl.text.errors import UsageError
from hdas_dsl.tree import ast

from .model import Cells, Dag, Edge, Genotype, Stages
from .template import Frame, fill, frame_of, is_node

LATTICE_NAMES = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "conv1",
    "nor_conv_3x3": "conv3",
    "avg_pool_3x3": "pool",
}
"""The operations of NAS-Bench-201 strings, and their names in `spaces/nasbench201.hsp`."""

CELL_SPACE = "darts.hsp"
"""The space whose cells a genotype of cells fills in."""

NORMAL, REDUCTION, STAGE, LATTICE_CELL = "Normal", "Reduction", "Stage", "Cell"
"""The names of the definitions that genotypes fill in."""


class IncompatibleParts(UsageError):
    """The genotype, the files to join and the parameters do not fit together."""


@dataclass(frozen=True)
class Surroundings:
    """The network around a genotype.

    Attributes:
        space: A space instead of the default one of the genotype's form.
        cell_file: A file whose cells join a genotype of stages.
        stage_file: A file whose stages join a genotype of cells.
        image: The shape (channels, height, width) of the input.
        params: Parameters of the network, by name.
    """

    space: Path | None = None
    cell_file: Path | None = None
    stage_file: Path | None = None
    image: tuple[int, ...] | None = None
    params: Mapping[str, ast.Expr] = field(default_factory=dict)


def default_space(genotype: Genotype, joined: bool) -> Path:
    """The shipped space whose network and recipe surround a genotype."""
    cells = genotype.cells
    if genotype.lattice is not None:
        return LIBRARY / "nasbench201.hsp"
    if genotype.stages is not None or joined or cells is None:
        return LIBRARY / "hdas_stages.hsp"
    return LIBRARY / ("hdas_cells.hsp" if cells.per_stage else CELL_SPACE)


def edge_operations(instance: Instance) -> dict[str, str]:
    """The operations that an edge may apply: those of the used shipped libraries whose one parameter is a stride."""
    units = {id(unit): unit for _, unit in instance.unit.imports if unit is not None and unit.shipped}
    found = (line for unit in units.values() for line in unit.module.definitions if isinstance(line, ast.OpDef))
    return {
        line.name: line.name for line in found if len(line.inputs) == 1 and [p.name for p in line.params] == ["stride"]
    }


def build(genotype: Genotype, around: Surroundings) -> ast.Module:
    """The module of a genotype.

    Raises:
        HspError: an operation is unknown, or a file cannot be read.
        IncompatibleParts: the parts do not fit together.
    """
    return _Builder(genotype, around).module()


def frame_in(instance: Instance, name: str, space: str) -> Frame:
    """The definition of a space that a genotype fills in.

    Raises:
        IncompatibleParts: the space has no such definition with a line of nodes.
    """
    found = instance.lookup(name)
    plain = found.plain if isinstance(found, Entity) else None
    frame = frame_of(plain) if isinstance(plain, ast.GraphDef) else None
    if frame is None:
        raise IncompatibleParts(f"{space} has no searched '{name}' that a genotype could fill in")
    return frame


def read_file(path: Path, loader: Loader) -> Instance:
    """A file of the language, with the files that it uses.

    Raises:
        HspError: one of the files cannot be read.
    """
    before = len(loader.diagnostics)
    instance = loader.load(path)
    if instance is None or len(loader.diagnostics) > before:
        raise HspError(loader.diagnostics[before:])
    return instance


@dataclass
class _Builder:
    genotype: Genotype
    around: Surroundings
    loader: Loader = field(default_factory=Loader)
    uses: list[ast.Use] = field(default_factory=list)
    inlined: dict[str, ast.Definition] = field(default_factory=dict)
    graphs: list[ast.GraphDef] = field(default_factory=list)
    references: dict[str, ast.Expr] = field(default_factory=dict)
    """The values of the network's parameters for cells and stages."""
    counts: dict[str, int] = field(default_factory=dict)
    """The values of the network's parameters that the genotype determines."""

    # ------------------------------------------------------------ the file

    def module(self) -> ast.Module:
        genotype, around = self.genotype, self.around
        joined = around.stage_file is not None
        if genotype.stages is not None and joined:
            raise IncompatibleParts("the genotype has stages of its own: --stage-file is for a genotype of cells")
        if genotype.cells is not None and around.cell_file is not None:
            raise IncompatibleParts("the genotype has cells of its own: --cell-file is for a genotype of stages")
        if genotype.lattice is not None and (joined or around.cell_file is not None):
            raise IncompatibleParts(
                "a cell of NAS-Bench-201 is all that its network is made of: there is nothing to join"
            )
        if genotype.stages is not None and genotype.cells is None and around.cell_file is None:
            raise IncompatibleParts(
                "a genotype of stages says nothing about the cells in them: name a file with --cell-file"
            )
        path = around.space or default_space(genotype, joined)
        space = read_file(path, self.loader)
        network, train, settings = self.network_of(space, path.name)
        self.uses += [replace(use, note=None, gap=False) for use, unit in space.unit.imports if unit and unit.shipped]
        self.uses = [use for use in self.uses if use.path != "lib/prim.hsp"]
        self.fill_in(space, path.name)
        network = self.adjusted(network, settings, path.name)
        self.inline([network, *self.graphs], space)
        network = self.named(network)
        lines: list[ast.TopLine] = [*self.uses]
        others = sorted(self.inlined.values(), key=lambda definition: isinstance(definition, ast.GraphDef))
        for position, definition in enumerate([*others, *self.graphs, network]):
            lines.append(replace(definition, gap=position == 0 and bool(lines), note=None))
        if train is not None:
            lines.append(replace(train, target=ast.Name(network.name), gap=True))
        return ast.Module(tuple(lines))

    def network_of(self, space: Instance, name: str) -> tuple[ast.GraphDef, ast.Train | None, dict[str, ast.Expr]]:
        """The network of a space, how it is trained, and the arguments that it is trained with."""
        sections = [line for line in space.unit.module.lines if isinstance(line, ast.Train | ast.Search)]
        train = next((line for line in sections if isinstance(line, ast.Train)), None)
        target = next((line.target for line in (train, *sections) if line is not None and line.target), None)
        arguments: dict[str, ast.Expr] = {}
        if isinstance(target, ast.Call):
            arguments = {arg.name: arg.value for arg in target.args if arg.name and not isinstance(arg.value, ast.Each)}
            target = target.func
        if target is None:
            graphs = [d for d in space.unit.module.definitions if isinstance(d, ast.GraphDef)]
            networks = [ast.Name(graph.name) for graph in graphs if graph.level is ast.Level.NETWORK]
            target = networks[0] if len(networks) == 1 else None
        found = space.lookup(target.id) if isinstance(target, ast.Name) else None
        plain = found.plain if isinstance(found, Entity) else None
        if not isinstance(plain, ast.GraphDef):
            raise IncompatibleParts(f"{name} names no network that a genotype could stand in")
        return plain, train, arguments

    # ------------------------------------------------------------ cells and stages

    def fill_in(self, space: Instance, name: str) -> None:
        genotype = self.genotype
        if genotype.lattice is not None:
            frame = frame_in(space, LATTICE_CELL, name)
            self.check([genotype.lattice.dag], LATTICE_NAMES)
            self.graphs.append(fill(frame, genotype.lattice.dag, None, LATTICE_NAMES))
        if genotype.cells is not None:
            self.cells(genotype.cells)
        if genotype.stages is not None:
            self.stages(genotype.stages, space, name)
        if self.around.cell_file is not None:
            self.join(self.around.cell_file, (NORMAL, REDUCTION), ast.Level.CELL)
        if self.around.stage_file is not None:
            frame = frame_in(space, STAGE, name)
            stages = self.join(self.around.stage_file, (STAGE,), ast.Level.STAGE)
            lengths = [sum(is_node(frame, line) for line in stage.body.lines) for stage in stages]
            self.counts |= {"stages": len(stages), "cells": max(lengths)}

    def cells(self, cells: Cells) -> None:
        space = read_file(LIBRARY / CELL_SPACE, self.loader)
        names = edge_operations(space)
        self.check([*cells.normals, *cells.reductions], names)
        normal, reduction = (frame_in(space, name, CELL_SPACE) for name in (NORMAL, REDUCTION))
        for k, dag in enumerate(cells.normals):
            # A reduction cell opens the stage whose number it bears.
            if 0 < k <= len(cells.reductions):
                self.graphs.append(fill(reduction, cells.reductions[k - 1], k, names))
            self.graphs.append(fill(normal, dag, k if cells.per_stage else None, names))
        if not cells.per_stage:
            self.graphs += [fill(reduction, dag, None, names) for dag in cells.reductions]
        else:
            self.counts["stages"] = len(cells.normals)
        self.references |= {NORMAL: ast.Name(NORMAL), REDUCTION: ast.Name(REDUCTION)}
        widths = {len(dag.concat) for dag in (*cells.normals, *cells.reductions)}
        if len(widths) == 1:
            self.counts["nodes"] = widths.pop()

    def stages(self, stages: Stages, space: Instance, name: str) -> None:
        names = edge_operations(space)
        self.check(stages.dags, names)
        frame = frame_in(space, STAGE, name)
        self.graphs += [fill(frame, dag, k, names) for k, dag in enumerate(stages.dags)]
        self.references[STAGE] = ast.Name(STAGE)
        self.counts["stages"] = len(stages.dags)
        self.counts["cells"] = max(len(dag.nodes) for dag in stages.dags)

    def check(self, dags: Sequence[Dag], names: Mapping[str, str]) -> None:
        """Refuse operations that the space does not know, all at once."""
        edges: Iterator[Edge] = (edge for dag in dags for node in dag.nodes for edge in node)
        unknown = sorted((edge for edge in edges if edge.op not in names), key=lambda edge: edge.span.start)
        if unknown:
            known = f"known: {', '.join(names)}"
            raise HspError(
                Diagnostic(
                    Code.UNKNOWN_NAME,
                    edge.span,
                    f"unknown operation '{edge.op}'",
                    suggest(edge.op, names) or known,
                )
                for edge in unknown
            )

    # ------------------------------------------------------------ joining with a file

    def join(self, path: Path, wanted: Sequence[str], level: ast.Level) -> list[ast.GraphDef]:
        """Take cells or stages from a file: a shipped one is used, the definitions of any other are copied."""
        instance = read_file(path, self.loader)
        graphs = [d for d in instance.unit.module.definitions if isinstance(d, ast.GraphDef) and d.level is level]
        titles = {name: name for name in wanted}
        if level is ast.Level.STAGE and graphs:
            titles = {STAGE: graphs[0].name}
        for name in titles.values():
            if name not in instance.unit.names:
                raise IncompatibleParts(f"'{path}' defines no {level.value} '{name}'")
        chosen = [graph for graph in graphs if graph.name in titles.values()]
        resolved = path.resolve()
        if resolved.is_relative_to(LIBRARY):
            alias = path.stem
            replacements = next((use.replace for use in self.uses if use.path == "lib/darts.hsp"), ())
            inside = resolved.relative_to(LIBRARY).as_posix()
            self.uses.append(ast.Use(inside, ast.Ident(alias), replacements))
            self.references |= {role: ast.Field(ast.Name(alias), ast.Ident(name)) for role, name in titles.items()}
            return chosen
        known = {use.path for use in self.uses}
        for use, unit in instance.unit.imports:
            if unit is not None and unit.shipped and use.path not in known:
                self.uses.append(replace(use, note=None, gap=False))
        self.graphs = [*chosen, *self.graphs] if level is ast.Level.CELL else [*self.graphs, *chosen]
        self.inline(chosen, instance)
        self.references |= {role: ast.Name(name) for role, name in titles.items()}
        return chosen

    # ------------------------------------------------------------ the network

    def adjusted(self, network: ast.GraphDef, trained: Mapping[str, ast.Expr], name: str) -> ast.GraphDef:
        """The network with its values as defaults: given by the user, else by the genotype, else by the retraining."""
        params = {param.name: param for param in network.params}
        images = {param.name for param in network.inputs}
        asked = self.around.params
        unknown = [key for key in asked if key not in params]
        if unknown:
            hint = suggest(unknown[0], params) or f"it has {', '.join(params)}"
            raise IncompatibleParts(f"the network of {name} has no parameter '{unknown[0]}' ({hint})")
        fixed = {key: ast.Number(str(count)) for key, count in self.counts.items() if key in params}
        for key, value in asked.items():
            if fixed.get(key, value) != value:
                raise IncompatibleParts(f"the genotype itself says that '{key}' is {self.counts[key]}")
        values = {**trained, **fixed, **asked, **self.references}
        changed = tuple(replace(p, default=values.get(p.name, p.default)) for p in network.params)
        shape = next((value for key, value in trained.items() if key in images), None)
        dims: tuple[ast.Expr, ...] | None = shape.items if isinstance(shape, ast.Tuple) else None
        if self.around.image is not None:
            dims = tuple(ast.Number(str(dim)) for dim in self.around.image)
        inputs = tuple(replace(param, shape=dims or param.shape) for param in network.inputs)
        return replace(network, inputs=inputs, params=changed)

    def named(self, network: ast.GraphDef) -> ast.GraphDef:
        """The network under the name that the text gives its genotype, if that is free."""
        words = re.findall(r"[A-Za-z0-9]+", self.genotype.name or "")
        title = "".join(word[0].upper() + (word[1:].lower() if word.isupper() else word[1:]) for word in words)
        taken = {*self.inlined, *(graph.name for graph in self.graphs), *self.references}
        if (
            not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", title)
            or title in taken
            or not (self.genotype.name or "").isascii()
        ):
            return network
        return replace(network, copy=ast.CopyName.of(title))

    def inline(self, definitions: Sequence[ast.Definition], instance: Instance) -> None:
        """Copies the definitions that others mention and no library has, transitively."""
        made = {graph.name for graph in self.graphs} | set(self.references)
        pending = list(definitions)
        while pending:
            definition = pending.pop(0)
            own = {node.name for node in definition.walk() if isinstance(node, ast.Param)}
            for node in definition.walk():
                if not isinstance(node, ast.Name) or node.id in made or node.id in self.inlined or node.id in own:
                    continue
                found = instance.lookup(node.id)
                if isinstance(found, Namespace):
                    raise IncompatibleParts(
                        f"'{instance.unit.source.name}' uses '{node.id}', which a file of its own cannot take over"
                    )
                if not isinstance(found, Entity) or found.instance.unit.shipped or found.instance.unit.prelude is None:
                    continue
                if found.plain is not None and found.plain is not definition:
                    self.inlined[node.id] = found.plain
                    pending.append(found.plain)
