"""Parsed files, and how their names are looked up: `use`, replacement (`use F with D = E`), the prelude.

A `Unit` is a file, read once. An `Instance` is a unit with replacements in force: the same file used with different
replacements is two instances. A name is looked up in an instance; the result carries the instance in which its
definition is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from hdas_dsl.text.reading import resolved, unnameable
from hdas_dsl.text.source import Source

from .tree import ast

LIBRARY = Path(__file__).resolve().parent.parent / "spaces"
"""The spaces shipped inside the installed package; they lie beside this package in a checkout and when installed."""


@dataclass(eq=False)
class Unit:
    """A parsed file. ``imports`` are the units of its uses, in order; a use that could not be read has None.

    ``root`` is the folder that it and its uses do not leave, except for the shipped library.
    """

    path: Path | None
    source: Source
    module: ast.Module
    imports: list[tuple[ast.Use, Unit | None]] = field(default_factory=list)
    names: dict[str, list[ast.Definition]] = field(default_factory=dict)
    prelude: Unit | None = None
    root: Path | None = None

    def __post_init__(self) -> None:
        for definition in self.module.definitions:
            self.names.setdefault(definition.name, []).append(definition)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text, in hexadecimal digits."""
        return hashlib.sha256(self.source.text.encode()).hexdigest()

    @cached_property
    def shipped(self) -> str | None:
        """The path below the shipped library's ``lib/`` folder that a derived file may use; None for other files."""
        if self.path is None or not self.path.is_relative_to(LIBRARY / "lib"):
            return None
        return self.path.relative_to(LIBRARY).as_posix()

    def beside(self, path: str) -> Path | None:
        """The file of a path that the text names, whether it exists or not; None where it lies outside of the root."""
        if self.root is None or Path(path).is_absolute() or unnameable(path):
            return None
        folder = self.path.parent if self.path is not None else self.root
        found = resolved(folder / path)
        return found if found.is_relative_to(self.root) or found.is_relative_to(LIBRARY) else None

    def origins(self, name: str) -> list[tuple[Unit, ast.Use | None]]:
        """The units that may define a bare name: this one, else those that it uses, else the prelude."""
        if name in self.names:
            return [(self, None)]
        found = [(u, use) for use, u in self.imports if u is not None and use.alias is None and name in u.names]
        if not found and self.prelude is not None and name in self.prelude.names:
            return [(self.prelude, None)]
        unique: dict[int, tuple[Unit, ast.Use | None]] = {}
        for unit, use in found:
            unique.setdefault(id(unit), (unit, use))
        return list(unique.values())

    def all_used(self) -> list[Unit]:
        """This file and all that it uses, directly or not, each once."""
        found = [self]
        for unit in found:
            found += [used for _, used in unit.imports if used is not None and used not in found]
        return found

    def visible(self) -> Iterator[str]:
        """Every bare name that refers to a definition or a used file here."""
        yield from self.names
        for use, unit in self.imports:
            if use.alias is not None:
                yield use.alias
            elif unit is not None:
                yield from unit.names
        if self.prelude is not None:
            yield from self.prelude.names

    def defines(self, name: str) -> bool:
        """Whether this file or anything it uses defines ``name``."""
        return name in self.names or any(unit is not None and unit.defines(name) for _, unit in self.imports)


@dataclass(frozen=True, eq=False)
class Replacement:
    """``D = E`` of a `use`. E is read in ``instance``; equal replacements have equal keys."""

    value: ast.Expr
    instance: Instance
    key: str


@dataclass(frozen=True, eq=False)
class Entity:
    """The definitions of one name, the plain one and those of labelled copies, in their instance."""

    name: str
    definitions: tuple[ast.Definition, ...]
    instance: Instance

    @property
    def plain(self) -> ast.Definition | None:
        """The definition without a label, if there is one."""
        for definition in self.definitions:
            if not isinstance(definition, ast.GraphDef) or str(definition.copy) == definition.name:
                return definition
        return None

    def has(self, definition: ast.Definition, instance: Instance) -> bool:
        """Whether a definition is one of these."""
        return instance is self.instance and any(own is definition for own in self.definitions)

    def labelled(self, path: str) -> ast.GraphDef | None:
        """The definition whose copy name is ``path`` (``Normal@0``, ``Stage@1.Cell@0``)."""
        for definition in self.definitions:
            if isinstance(definition, ast.GraphDef) and str(definition.copy) == path:
                return definition
        return None


@dataclass(frozen=True, eq=False)
class Namespace:
    """The used file that an alias names."""

    instance: Instance


Found: TypeAlias = Entity | Namespace | Replacement


class Instance:
    """A unit with replacements in force."""

    def __init__(self, unit: Unit, replace: Mapping[str, Replacement], pool: dict[object, Instance]) -> None:
        self.unit = unit
        self.replace = replace
        self._pool = pool
        self._found: dict[str, Found | None] = {}
        self.key = (id(unit), tuple(sorted((name, r.key) for name, r in replace.items())))
        pool[self.key] = self

    def lookup(self, name: str) -> Found | None:
        """The definitions, the used file or the replacement of a name in this file; None if there is none."""
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def meant(self, node: ast.Node) -> Found | None:
        """What a name, or a name behind the alias of a file, `nb.skip`, refers to; None for any other expression."""
        match node:
            case ast.Name(id=name):
                return self.lookup(name)
            case ast.Field(base=ast.Name(id=alias), name=name):
                used = self.lookup(alias)
                if isinstance(used, Namespace) and name in used.instance.unit.names:
                    return used.instance.lookup(name)
        return None

    def named(self, name: str, instance: Instance) -> ast.Expr | None:
        """The expression by which this file refers to the definition of a name in another; None where it cannot."""
        found = self.lookup(name)
        if isinstance(found, Entity) and found.instance is instance:
            return ast.Name(name)
        for use, used in self.unit.imports:
            if used is not None and use.alias is not None and name in used.names:
                space = self.lookup(use.alias)
                if isinstance(space, Namespace) and space.instance is instance:
                    return ast.Field(ast.Name(use.alias), ast.Ident(name))
        return None

    def _look(self, name: str) -> Found | None:
        unit = self.unit
        if name in unit.names:
            if name in self.replace:
                return self.replace[name]
            return Entity(name, tuple(unit.names[name]), self)
        for use, used in unit.imports:
            if used is not None and use.alias == name:
                return Namespace(self.used(use, used))
        for use, used in unit.imports:
            if used is not None and use.alias is None and name in used.names:
                return self.used(use, used).lookup(name)
        if unit.prelude is not None and name in unit.prelude.names:
            return self._instance(unit.prelude, {}).lookup(name)
        return None

    def used(self, use: ast.Use, unit: Unit) -> Instance:
        """The instance of a unit that this one uses."""
        replace = dict(self.replace)
        for binding in use.replace:
            key = ""
            if isinstance(binding.value, ast.Name):
                for origin, _ in self.unit.origins(binding.value.id)[:1]:
                    key = f"{origin.source.name}:{binding.value.id}"
            key = key or f"{self.unit.source.name}:{binding.span.start}"
            replace[binding.target.name] = Replacement(binding.value, self, key)
        return self._instance(unit, {name: r for name, r in replace.items() if unit.defines(name)})

    def _instance(self, unit: Unit, replace: Mapping[str, Replacement]) -> Instance:
        key = (id(unit), tuple(sorted((name, r.key) for name, r in replace.items())))
        return self._pool.get(key) or Instance(unit, replace, self._pool)
