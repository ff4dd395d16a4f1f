"""Where a derived file comes from. No time, host or absolute path, so that equal runs give equal bytes. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.text.printable import encodable
from hdas_dsl.tree import ast
from hdas_dsl.units import Unit

from .model import Program


def origin(program: Program) -> dict[str, str]:
    """The file and the library that an architecture was made from, as settings in the language."""
    used = {unit.shipped: unit for unit in units(program) if unit.shipped}
    library = ", ".join(f'"{path}", "{used[path].sha256[:16]}"' for path in sorted(p for p in used if p))
    return {
        "source": f'"{encodable(Path(program.unit.source.name).name)}"',
        "sha256": f'"{program.unit.sha256}"',
        "library": f"({library})",
    }


def section(lines: Mapping[str, str]) -> list[ast.Setting]:
    """The settings of a `provenance` section; those without a value are left out."""
    made = []
    for name, text in lines.items():
        expr, _ = parse_expression(text) if text else (None, [])
        if expr is not None:
            made.append(ast.Setting(ast.Ident(name), expr))
    return made


def units(program: Program) -> list[Unit]:
    """A program's file and all that it uses."""
    found: dict[int, Unit] = {}

    def visit(unit: Unit) -> None:
        if id(unit) not in found:
            found[id(unit)] = unit
            for _, used in unit.imports:
                if used is not None:
                    visit(used)

    visit(program.unit)
    if program.method is not None:
        visit(program.method.unit)
    return list(found.values())
