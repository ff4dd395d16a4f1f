"""Files and their names: loading, `use`, replacement (`use F with D = E`).

A `Unit` is a file, read once. An `Instance` is a unit with replacements in force: the same file used with different
replacements is two instances. A name is looked up in an instance; the result carries the
instance in which its definition is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from hdas_dsl.parse.parser import parse
from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.limits import MAX_FILES, MAX_REPLACEMENTS, TokenBudget, too_large
from hdas_dsl.text.reading import is_file, read_named, read_text, unnameable
from hdas_dsl.text.source import Source, Span

from .tree import ast

LIBRARY = Path(__file__).resolve().parent.parent / "spaces"
"""The spaces shipped inside the installed package; they lie beside this package in a checkout and when installed."""

PRELUDE = LIBRARY / "lib" / "prim.hsp"
"""The primitives, visible in every file."""


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

    @property
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
        found = (folder / path).resolve()
        return found if found.is_relative_to(self.root) or found.is_relative_to(LIBRARY) else None

    def origins(self, name: str) -> list[tuple[Unit, ast.Use | None]]:
        """The units that could define a bare name here: this one, else those it uses, else the prelude."""
        if name in self.names:
            return [(self, None)]
        found = [(u, use) for use, u in self.imports if u is not None and use.alias is None and name in u.names]
        if not found and self.prelude is not None and name in self.prelude.names:
            return [(self.prelude, None)]
        unique: dict[int, tuple[Unit, ast.Use | None]] = {}
        for unit, use in found:
            unique.setdefault(id(unit), (unit, use))
        return list(unique.values())

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
    """The definitions of one name, that of a copy beside the plain one, in their instance."""

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


class Loader:
    """Reads files and the files that they use, each once, within the entry file's folder and the shipped library."""

    def __init__(self, library: Path = LIBRARY) -> None:
        self.library = library
        self.units: dict[Path, Unit] = {}
        self.diagnostics: list[Diagnostic] = []
        self._open: list[Path] = []
        self._budget = TokenBudget()
        self._pool: dict[object, Instance] = {}

    def load(self, path: Path, name: str | None = None) -> Instance | None:
        """Reads the entry file under the name that messages show; errors are added to ``diagnostics``.

        Returns:
            None where the file cannot be read or parsed.
        """
        try:
            text = read_text(path)
        except (OSError, UnicodeDecodeError) as error:
            self.diagnostics.append(unreadable(str(path), error))
            return None
        source = Source(name or str(path), text)
        self._budget = TokenBudget()
        unit = self._unit(path.resolve(), source, path.resolve().parent)
        return None if unit is None else Instance(unit, {}, self._pool)

    def load_text(self, text: str, name: str, folder: Path | None = None) -> Instance | None:
        """Reads a text that is no file (standard input, a derived phase); ``folder`` is where its uses look first.

        Returns:
            None where the text cannot be parsed.
        """
        self._budget = TokenBudget()
        unit = self._unit(None, Source(name, text), (folder or Path.cwd()).resolve())
        return None if unit is None else Instance(unit, {}, self._pool)

    def shipped(self, path: str) -> Unit | None:
        """A file of the shipped library, by its path there."""
        found = (self.library / path).resolve()
        return self.units.get(found) or self._file(found, path, self.library)

    def _prelude(self) -> Unit | None:
        path = PRELUDE.resolve()
        if path in self._open:
            return None
        return self.units.get(path) or self._file(path, path.relative_to(self.library).as_posix(), self.library)

    def _file(self, path: Path, name: str, root: Path) -> Unit | None:
        return self._unit(path, Source(name, read_named(path)), root)

    def _unit(self, path: Path | None, source: Source, root: Path) -> Unit | None:
        module, diagnostics = parse(source, self._budget)
        self.diagnostics += diagnostics
        if module is None:
            return None
        key = path or Path(source.name)
        self._open.append(key)
        unit = Unit(path, source, module, root=root)
        if path is not None:
            self.units[path] = unit
        unit.prelude = self._prelude()
        for number, use in enumerate(module.uses):
            limit = self._limit(use, number)
            if limit is not None:
                self.diagnostics.append(limit)
                unit.imports.append((use, None))
                break
            unit.imports.append((use, self._use(use, unit, root)))
        self._open.pop()
        return unit

    def _limit(self, use: ast.Use, number: int) -> Diagnostic | None:
        """The error of a use after ``number`` others, where it is one too many or replaces too much."""
        if number >= MAX_FILES or len(self.units) >= MAX_FILES:
            return too_large(use.span, f"a file uses at most {MAX_FILES} files, directly or not")
        if len(use.replace) > MAX_REPLACEMENTS:
            return too_large(use.span, f"a `use` replaces at most {MAX_REPLACEMENTS} definitions")
        return None

    def _use(self, use: ast.Use, unit: Unit, root: Path) -> Unit | None:
        folder = unit.path.parent if unit.path is not None else root
        roots = (root, self.library.resolve())
        if (why := unnameable(use.path)) is not None:
            self.diagnostics.append(Diagnostic(Code.NO_FILE, use.span, why))
            return None
        candidates = [(folder / use.path).resolve(), (self.library / use.path).resolve()]
        allowed = [c for c in candidates if any(c.is_relative_to(r) for r in roots)]
        if Path(use.path).is_absolute() or not allowed:
            message = f"'{use.path}' lies outside the folder of this file and the shipped library"
            self.diagnostics.append(Diagnostic(Code.OUTSIDE, use.span, message))
            return None
        for path in allowed:
            if path in self._open:
                self.diagnostics.append(Diagnostic(Code.CYCLE, use.span, f"'{use.path}' uses this file in its turn"))
                return None
            if path in self.units:
                return self.units[path]
            if is_file(path):
                inside = path.is_relative_to(self.library.resolve()) and not path.is_relative_to(root)
                name = path.relative_to(self.library.resolve()).as_posix() if inside else self._shown(path, unit)
                try:
                    return self._file(path, name, root)
                except (OSError, UnicodeDecodeError) as error:
                    self.diagnostics.append(unreadable(use.path, error, use.span))
                    return None
        known = (
            p.relative_to(r).as_posix() for r in roots for p in sorted(r.glob("*.hsp")) + sorted(r.glob("*/*.hsp"))
        )
        message = f"there is no file '{use.path}' beside this one or in the shipped library"
        self.diagnostics.append(Diagnostic(Code.NO_FILE, use.span, message, suggest(use.path, known)))
        return None

    @staticmethod
    def _shown(path: Path, unit: Unit) -> str:
        """A used file under the name that a user of ``unit`` would give it."""
        folder = Path(unit.source.name).parent
        if unit.path is not None and path.is_relative_to(unit.path.parent):
            return (folder / path.relative_to(unit.path.parent)).as_posix()
        return path.name


def unreadable(name: str, error: Exception, span: Span | None = None) -> Diagnostic:
    """The diagnostic of a file that does not exist or is no text."""
    why = (
        "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or str(error)
    )
    where = span or Span(Source(name, ""), 0, 0)
    return Diagnostic(
        Code.NO_FILE, where, f"'{name}' cannot be read: {why}".replace("Is a directory", "it is a folder")
    )
