"""A genotype and the space around it as a module of the language."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import suggest
from hdas_dsl.text.reading import resolved
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_of
from hdas_dsl.units import LIBRARY

from .benchmarks import fill_widths
from .inline import Inliner, Site
from .model import Genotype, Lattice, Matrix, Stages, Widths
from .plan import CELL_SPACE, NORMAL, REDUCTION, STAGE, Plan
from .space import IncompatiblePartsError, Space, read_file, read_space

USUAL = {Lattice: "nasbench201.hsp", Stages: "hdas_stages.hsp", Matrix: "nasbench101.hsp", Widths: "nats_size.hsp"}
"""The shipped space of a genotype by its type; cells alone are not among them (`CELL_SPACE`)."""


@dataclass(frozen=True)
class Surroundings:
    """The network around a genotype: a space instead of the usual one, files to join with, parameters by name."""

    space: Path | None = None
    cell_file: Path | None = None
    stage_file: Path | None = None
    image: tuple[int, ...] | None = None
    params: Mapping[str, ast.Expr] = field(default_factory=dict)


def default_space(genotype: Genotype, joined: bool) -> Path:
    """The shipped space whose network and recipe surround a genotype."""
    cells = genotype.cells
    if cells is None or genotype.stages is not None or joined:
        return LIBRARY / next((USUAL[type(part)] for part in genotype.parts if type(part) in USUAL), USUAL[Stages])
    return LIBRARY / ("hdas_cells.hsp" if cells.per_stage else CELL_SPACE)


def build(genotype: Genotype, around: Surroundings) -> ast.Module:
    """The module of a genotype.

    Raises:
        HspError: where an operation is unknown, or a file that takes part cannot be read.
        IncompatiblePartsError: where the parts do not go together.
    """
    _check_parts(genotype, around)
    loader = Loader()
    space = read_space(around.space or default_space(genotype, around.stage_file is not None), loader)
    aliased: frozenset[str] = frozenset()
    while True:
        plan = Plan(space, loader, Inliner(aliased), strict=around.space is not None)
        plan.add(genotype)
        module = _Builder(genotype, around, plan).module()
        clashes = plan.inliner.clashes({line.name for line in module.definitions})
        if clashes <= aliased:
            return module
        aliased |= clashes


def _check_parts(genotype: Genotype, around: Surroundings) -> None:
    """Refuse a genotype and files that do not go together."""
    joined = around.stage_file is not None or around.cell_file is not None
    if genotype.lattice is not None and joined:
        raise IncompatiblePartsError(
            "a cell of NAS-Bench-201 is all that its network is made of: there is nothing to join"
        )
    if genotype.cells is None and genotype.stages is None and joined:
        raise IncompatiblePartsError(
            "a genotype of a benchmark is all that its network is made of: there is nothing to join"
        )
    if genotype.stages is not None and around.stage_file is not None:
        raise IncompatiblePartsError("the genotype has stages of its own: --stage-file is for a genotype of cells")
    if genotype.cells is not None and around.cell_file is not None:
        raise IncompatiblePartsError("the genotype has cells of its own: --cell-file is for a genotype of stages")
    if genotype.stages is not None and genotype.cells is None and around.cell_file is None:
        raise IncompatiblePartsError(
            "a genotype of stages says nothing about the cells in them: name a file with --cell-file"
        )


@dataclass
class _Builder:
    genotype: Genotype
    around: Surroundings
    plan: Plan
    joined: list[ast.Use] = field(default_factory=list)
    """Shipped files whose cells or stages the network uses."""

    @property
    def space(self) -> Space:
        return self.plan.space

    def module(self) -> ast.Module:
        makers = self.plan.makers
        if self.around.cell_file is not None:
            titles = {NORMAL: NORMAL, REDUCTION: REDUCTION}
            makers = [*self.join(self.around.cell_file, titles, ast.Level.CELL), *makers]
        if self.around.stage_file is not None:
            makers = [*makers, *self.join(self.around.stage_file, {STAGE: ""}, ast.Level.STAGE)]
        network = self.network()
        graphs = [make() for make in makers]
        copied = self.plan.inliner.copied()
        network = self.named(network, {definition.name for definition in (*copied, *graphs)})
        lines: list[ast.TopLine] = [*self.plan.inliner.uses(), *self.joined]
        for position, definition in enumerate([*copied, *graphs, network]):
            lines.append(replace(definition, gap=position == 0 and bool(lines), note=None))
        if self.space.train is not None:
            lines.append(replace(self.space.train, target=ast.Name(network.name), gap=True))
        return ast.Module(tuple(lines))

    # ------------------------------------------------------------ joining with a file

    def join(self, path: Path, titles: dict[str, str], level: ast.Level) -> Sequence[Callable[[], ast.GraphDef]]:
        """Take cells or stages from a file: a shipped one is used, the definitions of any other are copied.

        ``titles`` are the names of what is taken, by role; an empty one is that of the first of its level.
        """
        instance = read_file(path, self.plan.loader)
        graphs = [d for d in instance.unit.module.definitions if isinstance(d, ast.GraphDef) and d.level is level]
        titles = {role: name or (graphs[0].name if graphs else role) for role, name in titles.items()}
        for name in titles.values():
            if name not in instance.unit.names:
                raise IncompatiblePartsError(f"'{path}' defines no {level.value} '{name}'")
        chosen = [graph for graph in graphs if graph.name in titles.values()]
        if level is ast.Level.STAGE:
            family = self.plan.template(STAGE).family
            self.plan.counts |= {"stages": len(chosen), "cells": max(_size(graph, family) for graph in chosen)}
        place = resolved(path)
        if place.is_relative_to(LIBRARY):
            uses = (use for use, unit in self.space.network.instance.unit.imports if unit is not None)
            replacements = next((use.replace for use in uses if use.path == "lib/darts.hsp"), ())
            self.joined.append(ast.Use(place.relative_to(LIBRARY).as_posix(), ast.Ident(path.stem), replacements))
            alias = ast.Name(path.stem)
            self.plan.references |= {role: ast.Field(alias, ast.Ident(name)) for role, name in titles.items()}
            return []
        self.plan.references |= {role: ast.Name(name) for role, name in titles.items()}
        self.plan.inliner.placed |= {id(graph): ast.Name(graph.name) for graph in chosen}
        return [partial(self.plan.inliner.graph, Site(graph, instance)) for graph in chosen]

    # ------------------------------------------------------------ the network

    def network(self) -> ast.GraphDef:
        """The network with its values as defaults: asked for, else said by the genotype, else of the retraining."""
        site, inliner, name = self.space.network, self.plan.inliner, self.space.name
        for part in self.genotype.parts:
            if isinstance(part, Widths):
                site = Site(fill_widths(site, part, name), site.instance)
        params = {param.name: param for param in site.definition.params}
        asked = self.around.params
        unknown = [key for key in asked if key not in params]
        if unknown:
            hint = suggest(unknown[0], params) or f"it has {', '.join(params)}"
            raise IncompatiblePartsError(f"the network of {name} has no parameter '{unknown[0]}' ({hint})")
        fixed = {key: ast.Number(str(count)) for key, count in self.plan.counts.items() if key in params}
        for key, value in asked.items():
            if fixed.get(key, value) != value:
                raise IncompatiblePartsError(f"the genotype itself says that '{key}' is {self.plan.counts[key]}")
        own = self.plan.references
        trained = {
            key: inliner.expr(value, self.space.instance)
            for key, value in self.space.trained.items()
            if key in params and key not in own
        }
        values = {**trained, **fixed, **asked, **own}
        # A default that another value takes the place of is not needed, nor is what it mentions.
        bare = tuple(replace(p, default=None if p.name in values else p.default) for p in site.definition.params)
        made = inliner.graph(Site(replace(site.definition, params=bare), site.instance))
        changed = tuple(replace(p, default=values.get(p.name, p.default)) for p in made.params)
        inputs = tuple(replace(param, shape=self.shape() or param.shape) for param in made.inputs)
        return replace(made, inputs=inputs, params=changed)

    def shape(self) -> tuple[ast.Expr, ...] | None:
        """The shape of an image: asked for, else of the retraining, else None."""
        if self.around.image is not None:
            return tuple(ast.Number(str(dim)) for dim in self.around.image)
        images = {param.name for param in self.space.network.definition.inputs}
        found = next((value for key, value in self.space.trained.items() if key in images), None)
        return found.items if isinstance(found, ast.Tuple) else None

    def named(self, network: ast.GraphDef, taken: Collection[str]) -> ast.GraphDef:
        """The network under the name that the text gives its genotype, if that is free."""
        name = self.genotype.name or ""
        words = re.findall(r"[A-Za-z0-9]+", name)
        title = "".join(word[0].upper() + (word[1:].lower() if word.isupper() else word[1:]) for word in words)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", title) or not name.isascii():
            return network
        if title in {*taken, *self.plan.references}:
            return network
        return replace(network, copy=ast.CopyName.of(title))


def _size(stage: ast.GraphDef, family: str) -> int:
    """How many elements of a family a stage has."""
    names = (line.target.name for line in stage.body.lines if isinstance(line, ast.Binding))
    return sum(name == family or ((element := element_of(name)) is not None and element[0] == family) for name in names)
