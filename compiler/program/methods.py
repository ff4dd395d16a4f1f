"""Methods: named settings of a search, from the file itself, from files that it uses, or from the shipped library."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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
"""The name of the method's setting on the command line."""

AUTO = "auto"
"""What the command line says where the space chooses the method."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The method of a search, and the file that it is read from.

    One from the command line (``wins``) holds instead of what the section says; one that the section names holds where
    the section says nothing.
    """

    method: ast.Method
    unit: Unit
    wins: bool
    why: str = ""
    """Why it was chosen, where the space did that."""


def chosen_method(compilation: Compilation, search: ast.Search | None) -> Chosen | None:
    """The method of a section or of the command line; an unknown one of the section is reported.

    Raises:
        UsageError: the command line names a method that does not exist.
    """
    stated = _stated(compilation.overrides)
    named = None if search is None else search.method
    if stated is None and named is None:
        return None
    known = {method.name: Chosen(method, unit, stated is not None) for method, unit in _methods(compilation)}
    if stated is not None:
        name = _name(stated)
        if name not in known:
            raise UsageError(f"{stated.said}: there is no such method; {_hint(name, known)}")
        return known[name]
    if named is not None and named.name not in known:
        hint = (
            "`--method auto` chooses one, which a file then names" if named.name == AUTO else _hint(named.name, known)
        )
        message = f"there is no method '{named.name}'"
        compilation.report([Diagnostic(Code.UNKNOWN_NAME, named.span, message, hint)])
    return None if named is None else known.get(named.name)


def asks_for_auto(compilation: Compilation) -> bool:
    """Whether the command line leaves the method to the space; a file may have a method of that name."""
    stated = _stated(compilation.overrides)
    return (
        stated is not None and _name(stated) == AUTO and all(method.name != AUTO for method, _ in _methods(compilation))
    )


def library_methods() -> tuple[ast.Method, ...]:
    """The shipped methods."""
    unit = Loader().shipped(LIBRARY)
    return () if unit is None else unit.module.methods


def _methods(compilation: Compilation) -> Iterator[tuple[ast.Method, Unit]]:
    """All methods that a file can name: of several with one name the last holds, those of the file itself."""
    library = compilation.loader.shipped(LIBRARY)
    used = [unit for _, unit in compilation.unit.imports if unit is not None]
    for unit in (*((library,) if library else ()), *reversed(used), compilation.unit):
        for method in reversed(unit.module.methods):
            yield method, unit


def _stated(overrides: Sequence[Override]) -> Override | None:
    return next((item for item in overrides if item.name == SETTING), None)


def _name(item: Override) -> str:
    value = item.setting()
    return getattr(value, "name", None) or str(value)


def _hint(name: str, known: Collection[str]) -> str:
    return suggest(name, known) or f"known: {', '.join(sorted(known))}"
