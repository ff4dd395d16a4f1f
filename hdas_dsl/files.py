"""Loading of files: a file, what it uses, and the prelude, each read once and within the folders that it may read."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from hdas_dsl.parse.parser import parse
from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.limits import MAX_FILES, MAX_REPLACEMENTS, MAX_TOKENS, TokenBudget, too_large
from hdas_dsl.text.reading import is_file, no_file, read_named, read_text, resolved, unnameable
from hdas_dsl.text.source import Source, Span

from .tree import ast
from .units import LIBRARY, Instance, Unit

PRELUDE = LIBRARY / "lib" / "prim.hsp"
"""The primitives, visible in every file."""


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
        unit = self._unit(resolved(path), source, resolved(path).parent)
        return None if unit is None else Instance(unit, {}, self._pool)

    def load_text(self, text: str, name: str, folder: Path | None = None) -> Instance | None:
        """Reads a text that is not a file (standard input, a derived phase); ``folder`` is where its uses look first.

        Returns:
            None where the text cannot be parsed.
        """
        self._budget = TokenBudget()
        unit = self._unit(None, Source(name, text), (folder or Path.cwd()).resolve())
        return None if unit is None else Instance(unit, {}, self._pool)

    def shipped(self, path: str) -> Unit | None:
        """A file of the shipped library, by its path there."""
        found = resolved(self.library / path)
        return self.units.get(found) or self._file(found, path, self.library)

    def _prelude(self) -> Unit | None:
        path = PRELUDE.resolve()
        if path in self._open:
            return None
        return self.units.get(path) or self._file(path, path.relative_to(self.library).as_posix(), self.library)

    def _file(self, path: Path, name: str, root: Path) -> Unit | None:
        return self._unit(path, Source(name, read_named(path)), root)

    def _unit(self, path: Path | None, source: Source, root: Path) -> Unit | None:
        module, source = self._parsed(path, source)
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

    def _parsed(self, path: Path | None, source: Source) -> tuple[ast.Module | None, Source]:
        """The tree of a text, and the source that its spans name; a file of the library is parsed once in a process."""
        if path is not None and path.is_relative_to(LIBRARY / "lib"):
            module, same, tokens = _of_library(source.name, source.text)
            if module is not None and tokens <= self._budget.left:
                self._budget.left -= tokens
                return module, same
        module, diagnostics = parse(source, self._budget)
        self.diagnostics += diagnostics
        return module, source

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
        places = {resolved(place): place for place in (folder / use.path, self.library / use.path)}
        allowed = [path for path in places if any(path.is_relative_to(r) for r in roots)]
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
            p.relative_to(r).as_posix()
            for r in roots
            for p in sorted(r.glob("*.hsp")) + sorted(r.glob("*/*.hsp"))
            if p != unit.path
        )
        other = next((places[path] for path in allowed if os.path.lexists(places[path])), None)
        if other is not None:
            self.diagnostics.append(Diagnostic(Code.NO_FILE, use.span, no_file(other, use.path)))
            return None
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


@lru_cache(maxsize=64)
def _of_library(name: str, text: str) -> tuple[ast.Module | None, Source, int]:
    """The tree of a file of the library, None where it is wrong, its source, and how many tokens it has."""
    source, budget = Source(name, text), TokenBudget()
    module, _ = parse(source, budget)
    return module, source, MAX_TOKENS - budget.left


def unreadable(name: str, error: Exception, span: Span | None = None) -> Diagnostic:
    """The diagnostic of a file that does not exist or is not text."""
    why = (
        "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or str(error)
    )
    where = span or Span(Source(name, ""), 0, 0)
    return Diagnostic(
        Code.NO_FILE, where, f"'{name}' cannot be read: {why}".replace("Is a directory", "it is a folder")
    )
