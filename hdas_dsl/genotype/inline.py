"""Definitions that a file needs of others: shipped libraries are used, all else is copied, as derivation does.

A name keeps its meaning: it is looked up where it is written, and written as the definition is called in the new file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hdas_dsl.names import local_names, replacements
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Found, Instance, Namespace, Replacement

NodeT = TypeVar("NodeT", bound=ast.Node)


def resolve(expr: ast.Expr, instance: Instance) -> Entity | None:
    """The definition that ``Name``, ``alias.Name`` or a copy of either stands for; None where it is anything else."""
    found: Found | None = None
    match expr:
        case ast.Name(id=name):
            found = instance.lookup(name)
        case ast.Field(base=ast.Name(id=alias), name=name):
            outer = instance.lookup(alias)
            found = outer.instance.lookup(name) if isinstance(outer, Namespace) else None
        case ast.Copy(base=base):
            return resolve(base, instance)
    if isinstance(found, Replacement):
        return resolve(found.value, found.instance)
    return found if isinstance(found, Entity) else None


@dataclass(frozen=True)
class Site:
    """A cell, stage or network, and where its names are looked up."""

    definition: ast.GraphDef
    instance: Instance

    @property
    def defaults(self) -> Mapping[str, ast.Expr]:
        """The defaults of the parameters."""
        return {param.name: param.default for param in self.definition.params if param.default is not None}


@dataclass(frozen=True)
class _Library:
    path: str
    instance: Instance
    alias: str | None


@dataclass(frozen=True)
class _Copied:
    title: str
    definition: ast.Definition
    instance: Instance


@dataclass
class Inliner:
    """Collects what a new file uses and copies.

    ``aliased`` are libraries whose names clash with others of the file, so that they need an alias; ``placed`` are
    definitions that stand in the file by another way, under these names.
    """

    aliased: frozenset[str] = frozenset()
    placed: dict[int, ast.Expr] = field(default_factory=dict)
    _libraries: dict[object, _Library] = field(default_factory=dict)
    _copied: dict[int, _Copied] = field(default_factory=dict)

    # ------------------------------------------------------------ names

    def line(self, node: NodeT, instance: Instance, local: frozenset[str]) -> NodeT:
        """A line or a definition of a file, with the names in it as they are called here; ``local`` names stay."""
        return node.mapped(lambda child: self._renamed(child, instance, local))

    def expr(self, expr: ast.Expr, instance: Instance, local: frozenset[str] = frozenset()) -> ast.Expr:
        """An expression of a file, with its names as they are called here."""
        made = self._renamed(expr, instance, local)
        assert isinstance(made, ast.Expr)
        return made

    def _renamed(self, node: ast.Node, instance: Instance, local: frozenset[str]) -> ast.Node:
        match node:
            case ast.Name(id=name) if name not in local:
                entity = resolve(node, instance)
                if entity is not None:
                    return self.reference(entity)
                found = instance.lookup(name)
                return self.expr(found.value, found.instance) if isinstance(found, Replacement) else node
            case ast.Field(base=ast.Name(id=base)) if base not in local:
                entity = resolve(node, instance)
                if entity is not None:
                    return self.reference(entity)
            case ast.Copy(label=ast.Name()):
                inner = self._renamed(node.base, instance, local)
                return node.mapped(lambda child: inner if child is node.base else child)
        return node.mapped(lambda child: self._renamed(child, instance, local))

    def graph(self, site: Site) -> ast.GraphDef:
        """A cell, stage or network as it is written here."""
        return self.line(site.definition, site.instance, local_names(site.definition))

    def reference(self, entity: Entity) -> ast.Expr:
        """The name of a definition here; the file will use or copy it."""
        for definition in entity.definitions:
            if id(definition) in self.placed:
                return self.placed[id(definition)]
        unit = entity.instance.unit
        if unit.path is not None and unit.prelude is None:
            return ast.Name(entity.name)
        if unit.shipped is not None:
            return self._member(entity.instance, unit.shipped, entity.name)
        titles = {item.title for item in self._copied.values()}
        for definition in entity.definitions:
            if id(definition) not in self._copied:
                title, number = entity.name, 2
                while title in titles:
                    title, number = f"{entity.name}_{number}", number + 1
                self._copied[id(definition)] = _Copied(title, definition, entity.instance)
        return ast.Name(self._copied[id(entity.definitions[0])].title)

    def _member(self, instance: Instance, path: str, name: str) -> ast.Expr:
        """A name of a shipped library."""
        key = (path, tuple(sorted((name, found.key) for name, found in replacements(instance).items())))
        if key not in self._libraries:
            same = sum(library.path == path for library in self._libraries.values())
            stem = path.rpartition("/")[2].removesuffix(".hsp")
            alias = stem + (f"_{same + 1}" if same else "_ops") if same or path in self.aliased else None
            self._libraries[key] = _Library(path, instance, alias)
        alias = self._libraries[key].alias
        return ast.Name(name) if alias is None else ast.Field(ast.Name(alias), ast.Ident(name))

    # ------------------------------------------------------------ what the file holds

    def copied(self) -> list[ast.Definition]:
        """The definitions to copy, with all that they need in their turn: operations first, in order of mention."""
        made: dict[int, ast.Definition] = {}
        while pending := [key for key in self._copied if key not in made]:
            for key in pending:
                item = self._copied[key]
                definition = self.line(item.definition, item.instance, local_names(item.definition))
                made[key] = _titled(replace(definition, note=None), item.title)
        return sorted(made.values(), key=lambda definition: isinstance(definition, ast.GraphDef))

    def uses(self) -> list[ast.Use]:
        """The libraries that the file uses."""
        made = []
        for library in sorted(self._libraries.values(), key=lambda item: (item.path, item.alias or "")):
            bindings = tuple(
                ast.Binding(ast.Target.of(name), self.expr(found.value, found.instance))
                for name, found in sorted(replacements(library.instance).items())
            )
            alias = None if library.alias is None else ast.Ident(library.alias)
            made.append(ast.Use(library.path, alias, bindings))
        return made

    def clashes(self, titles: Collection[str]) -> frozenset[str]:
        """Libraries without an alias that define a name which the file defines too, or another of its libraries."""
        own = {*titles, *(item.title for item in self._copied.values())}
        found: set[str] = set()
        seen: dict[str, object] = {}
        for key, library in self._libraries.items():
            names = set(library.instance.unit.names)
            if names & own or any(seen.setdefault(name, key) != key for name in names):
                found.add(library.path)
        return frozenset(found)


def _titled(definition: ast.Definition, title: str) -> ast.Definition:
    """A definition under another name, its label kept."""
    if definition.name == title:
        return definition
    if isinstance(definition, ast.GraphDef):
        part = replace(definition.copy.parts[-1], ident=ast.Ident(title))
        return replace(definition, copy=ast.CopyName((part,)))
    return replace(definition, ident=ast.Ident(title))
