"""Methods: named settings of a search, from the file itself, from files that it uses, or from the shipped library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.util.errors import UsageError
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.tree import ast
from hdas_dsl.units import Unit

from .compilation import Compilation
from .overrides import Override

LIBRARY = "lib/methods.hsp"
"""The shipped methods, known to every file without a `use`."""

SETTING = "method"
"""What the command line calls the method."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The method of a search, and the file that it is read from.

    One from the command line (``wins``) holds instead of what the section says; one that the section names holds where
    the section says nothing.
    """

    method: ast.Method
    unit: Unit
    wins: bool


def chosen_method(compilation: Compilation, search: ast.Search | None) -> Chosen | None:
    """The method of a section or of the command line; an unknown one of the section is reported.

    Raises:
        UsageError: the command line names a method that does not exist.
    """
    methods = list(_methods(compilation.unit, compilation.loader))
    known = {method.name: (method, origin) for method, origin in reversed(methods)}
    for item in compilation.overrides:
        if item.name == SETTING:
            name = _name(item)
            if name not in known:
                raise UsageError(f"{item.said}: there is no such method; {_hint(name, known)}")
            return Chosen(*known[name], wins=True)
    if search is None or search.method is None:
        return None
    if search.method.name not in known:
        message = f"there is no method '{search.method.name}'"
        hint = _hint(search.method.name, known)
        compilation.report([Diagnostic(Code.UNKNOWN_NAME, search.method.span, message, hint)])
        return None
    return Chosen(*known[search.method.name], wins=False)


def library_methods() -> tuple[ast.Method, ...]:
    """The shipped methods."""
    unit = Loader().shipped(LIBRARY)
    return () if unit is None else unit.module.methods


def _methods(unit: Unit, loader: Loader) -> Iterator[tuple[ast.Method, Unit]]:
    """All methods that a file can name, those of the file itself first."""
    library = loader.shipped(LIBRARY)
    for origin in (unit, *(used for _, used in unit.imports if used is not None), *((library,) if library else ())):
        for method in origin.module.methods:
            yield method, origin


def _name(item: Override) -> str:
    value = item.setting()
    return getattr(value, "name", None) or str(value)


def _hint(name: str, known: dict[str, tuple[ast.Method, Unit]]) -> str:
    return suggest(name, known) or f"known: {', '.join(sorted(known))}"
