"""The space around a genotype: its network and recipe, and the definitions that a genotype fills in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.errors import UsageError
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Instance

from .inline import Site, resolve


class IncompatiblePartsError(UsageError):
    """The genotype, its space, the files to join and the parameters do not fit together."""


@dataclass(frozen=True)
class Space:
    """A file with a network. ``trained`` and ``searched`` are the arguments of its two sections."""

    name: str
    instance: Instance
    network: Site
    train: ast.Train | None
    trained: Mapping[str, ast.Expr]
    searched: Mapping[str, ast.Expr]

    def sites(self, role: str) -> Iterator[Site]:
        """The definitions that play a role, ``Normal`` or ``Stage``: what is given to the network, else by its name."""
        for arguments in (self.trained, self.searched):
            if role in arguments:
                yield from _site(self._entity(arguments[role]))
        if role in self.network.defaults:
            yield from _site(resolve(self.network.defaults[role], self.network.instance))
        for instance in (self.network.instance, self.instance):
            yield from _site(resolve(ast.Name(role), instance))

    def _entity(self, expr: ast.Expr) -> Entity | None:
        """A definition of the file; of ``phase.Name``, that of the phase's network."""
        match expr:
            case ast.Field(base=ast.Name(id=phase), name=name) if phase in (found := _phases(self.instance)):
                _, network = _target(found[phase], self.instance)
                return None if network is None else resolve(ast.Name(name), network.instance)
        return resolve(expr, self.instance)


def read_file(path: Path, loader: Loader) -> Instance:
    """A file of the language, with all that it uses.

    Raises:
        HspError: it cannot be read.
    """
    before = len(loader.diagnostics)
    instance = loader.load(path)
    if instance is None or len(loader.diagnostics) > before:
        raise HspError(loader.diagnostics[before:])
    return instance


def read_space(path: Path, loader: Loader) -> Space:
    """A file with a network that a genotype can stand in.

    Raises:
        HspError: it cannot be read.
        IncompatiblePartsError: it has no network, or several.
    """
    instance = read_file(path, loader)
    lines = instance.unit.module.lines
    train = next((line for line in lines if isinstance(line, ast.Train)), None)
    search = next((line for line in lines if isinstance(line, ast.Search)), None)
    targets = [line.target for line in (train, search) if line is not None and line.target is not None]
    found: Entity | None = None
    trained: Mapping[str, ast.Expr] = {}
    searched: Mapping[str, ast.Expr] = {}
    if targets:
        trained, found = _target(targets[0], instance)
        searched = _target(targets[-1], instance)[0]
    else:
        graphs = [line for line in lines if isinstance(line, ast.GraphDef) and line.level is ast.Level.NETWORK]
        found = resolve(ast.Name(graphs[0].name), instance) if len(graphs) == 1 else None
    network = next(_site(found), None)
    if network is None:
        raise IncompatiblePartsError(f"{path.name} names no network that a genotype could stand in")
    return Space(path.name, instance, network, train, trained, searched)


def _target(expr: ast.Expr, instance: Instance) -> tuple[Mapping[str, ast.Expr], Entity | None]:
    """The network of a section and its arguments; ``phase.Network`` has those of the phase too."""
    arguments: dict[str, ast.Expr] = {}
    if isinstance(expr, ast.Call):
        arguments = {arg.name: arg.value for arg in expr.args if arg.name and not isinstance(arg.value, ast.Each)}
        expr = expr.func
    match expr:
        case ast.Field(base=ast.Name(id=phase)) if phase in (found := _phases(instance)):
            inner, entity = _target(found[phase], instance)
            return {**inner, **arguments}, entity
    return arguments, resolve(expr, instance)


def _phases(instance: Instance) -> Mapping[str, ast.Expr]:
    """The targets of the phases of a file."""
    searches = (line for line in instance.unit.module.lines if isinstance(line, ast.Search))
    return {line.name: line.target for search in searches for line in search.settings if isinstance(line, ast.Phase)}


def _site(entity: Entity | None) -> Iterator[Site]:
    plain = None if entity is None else entity.plain
    if entity is not None and isinstance(plain, ast.GraphDef):
        yield Site(plain, entity.instance)
