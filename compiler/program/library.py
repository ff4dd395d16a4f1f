"""The shipped library as a derived file was written with it, against the library of now."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.setting_values import plain
from compiler.searcher.settings.words import Value
from hdas_dsl.text.diagnostics import Code, Diagnostic, Severity
from hdas_dsl.tree import ast

from .compilation import Compilation


def library_changes(compilation: Compilation) -> tuple[Diagnostic, ...]:
    """A warning for each file of the shipped library that has changed since the `provenance` section was written."""
    unit = compilation.unit
    known = {used.shipped: used for _, used in unit.imports if used is not None and used.shipped}
    result = []
    for line in _recorded(unit.module):
        try:
            recorded = plain(line.value)
        except ElaborationError as error:
            compilation.report([error.diagnostic])
            continue
        for path, sha in _pairs(recorded):
            if path in known and known[path].sha256[:16] != sha:
                message = f"the library file '{path}' has changed since this file was derived"
                result.append(Diagnostic(Code.LIBRARY, line.span, message, severity=Severity.WARNING))
    return tuple(result)


def _recorded(module: ast.Module) -> Iterator[ast.Setting]:
    """The settings that record the library."""
    for section in module.lines:
        if isinstance(section, ast.Provenance):
            yield from (line for line in section.settings if isinstance(line, ast.Setting) and line.name == "library")


def _pairs(value: Value) -> list[tuple[str, str]]:
    """Paths with their hashes; a list that is cut short loses its last path."""
    texts = [str(item) for item in value] if isinstance(value, tuple) else []
    return list(zip(texts[::2], texts[1::2], strict=False))
