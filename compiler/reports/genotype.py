"""The genotype of an architecture: what `--emit genotype` prints, where a genotype can say it. No torch."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.elaborate import Copy, Elaborated
from hdas_dsl.files import LIBRARY, Entity, Instance, Loader
from hdas_dsl.genotype import Cells, Dag, Genotype, Lattice, Part, Stages, spell
from hdas_dsl.genotype.build import (
    CELL_SPACE,
    LATTICE_CELL,
    LATTICE_NAMES,
    NORMAL,
    REDUCTION,
    STAGE,
    edge_operations,
    frame_in,
    read_file,
)
from hdas_dsl.genotype.template import Inexpressible, dag_of
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast


def genotype_text(space: Elaborated) -> str:
    """The genotype string of an architecture.

    Raises:
        HspError: no genotype expresses it; the diagnostic names the place.
    """
    try:
        return spell(genotype_of(space))
    except Inexpressible as error:
        raise HspError([error.diagnostic]) from None


def genotype_of(space: Elaborated) -> Genotype:
    """The genotype of an architecture.

    Raises:
        Inexpressible: no genotype expresses it.
    """
    where = space.root.definition.copy.span
    if space.is_space:
        raise Inexpressible(where, f"'{space.name}' still has choices, such as {next(iter(space.decisions))}")
    copies = [copy for copy in space.copies.values() if not copy.body.root]
    cells = [copy for copy in copies if copy.definition.level is ast.Level.CELL]
    stages = [copy for copy in copies if copy.definition.level is ast.Level.STAGE]
    names = {copy.definition.name for copy in cells}
    if names == {LATTICE_CELL}:
        return Genotype((_lattice(cells[0]),))
    other = next((copy for copy in cells if copy.definition.name not in (NORMAL, REDUCTION)), None)
    if other is not None or not cells:
        found = "has no cells" if other is None else f"has a cell '{other.definition.name}'"
        place = where if other is None else other.definition.copy.span
        raise Inexpressible(place, f"'{space.name}' {found}, where genotypes have '{NORMAL}' and '{REDUCTION}'")
    parts: list[Part] = [_stages(stages)] if stages else []
    return Genotype((*parts, _cells(cells, space)))


def _lattice(copy: Copy) -> Lattice:
    frame = frame_in(_space("nasbench201.hsp"), LATTICE_CELL, "nasbench201.hsp")
    dag = dag_of(frame, copy.definition, {name: op for op, name in LATTICE_NAMES.items()})
    for j, node in enumerate(dag.nodes):
        if [edge.source for edge in node] != list(range(j + 1)):
            message = f"node {j} of '{copy.path}' does not read everything before it once, as in NAS-Bench-201"
            raise Inexpressible(copy.definition.copy.span, message)
    return Lattice(dag)


def _cells(copies: Iterable[Copy], space: Elaborated) -> Cells:
    instance = _space(CELL_SPACE)
    names = edge_operations(instance)
    dags: dict[str, dict[int | None, Dag]] = {NORMAL: {}, REDUCTION: {}}
    for kind, found in dags.items():
        for definition in _definitions(copies, kind):
            found[_label(definition)] = dag_of(frame_in(instance, kind, CELL_SPACE), definition, names)
    normals, reductions = dags[NORMAL], dags[REDUCTION]
    if set(normals) == {None} == set(reductions):
        return Cells(tuple(normals.values()), tuple(reductions.values()))
    count = len(normals)
    if set(normals) != set(range(count)) or set(reductions) != set(range(1, count)):
        there = ", ".join(str(copy.definition.copy) for copy in copies)
        wanted = f"'{NORMAL}' and '{REDUCTION}', or '{NORMAL}@0', '{REDUCTION}@1', '{NORMAL}@1' and so on"
        raise Inexpressible(space.root.definition.copy.span, f"the cells of '{space.name}' are {there}, not {wanted}")
    return Cells(tuple(normals[k] for k in range(count)), tuple(reductions[k] for k in range(1, count)), per_stage=True)


def _stages(copies: list[Copy]) -> Stages:
    instance = _space("hdas_stages.hsp")
    frame = frame_in(instance, STAGE, "hdas_stages.hsp")
    dags: dict[int | None, Dag] = {}
    name = copies[0].definition.name
    for copy in copies:
        if copy.definition.name != name:
            raise Inexpressible(
                copy.definition.copy.span, f"the stages '{name}' and '{copy.definition.name}' are of two kinds"
            )
    for definition in _definitions(copies, name):
        dags[_label(definition)] = dag_of(frame, definition, edge_operations(instance))
    if set(dags) != set(range(len(dags))):
        message = f"the stages are not '{name}@0', '{name}@1' and so on, one definition for each"
        raise Inexpressible(copies[0].definition.copy.span, message)
    return Stages(tuple(dags[k] for k in range(len(dags))))


def _definitions(copies: Iterable[Copy], name: str) -> list[ast.GraphDef]:
    """All definitions of a name that the network uses, whether or not at these numbers of cells and stages."""
    copy = next((copy for copy in copies if copy.definition.name == name), None)
    found = copy.instance.lookup(name) if copy is not None else None
    definitions = found.definitions if isinstance(found, Entity) else ()
    return [definition for definition in definitions if isinstance(definition, ast.GraphDef)]


def _label(definition: ast.GraphDef) -> int | None:
    """The number of a labelled copy; None for a definition that serves every label."""
    label = definition.copy.parts[-1].label
    if len(definition.copy.parts) > 1 or (label is not None and not label.name.isdigit()):
        raise Inexpressible(definition.copy.span, f"'{definition.copy}' is not numbered by its stage")
    return None if label is None else int(label.name)


def _space(name: str) -> Instance:
    return read_file(LIBRARY / name, Loader())
