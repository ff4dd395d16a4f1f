"""The latency tables that files name, beside the files that are written from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from compiler.elaborate import Requirement
from compiler.ir.quantities import Total
from compiler.util.files import atomic_write
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.reading import resolved

from .evaluate import quantities


def clashing_tables(requirements: Iterable[Requirement]) -> Iterator[Diagnostic]:
    """Tables of one name in several folders, as files that use each other may have: an architecture has one folder."""
    first: dict[str, Total] = {}
    for requirement in requirements:
        for total in (asked.total for asked in quantities(requirement)):
            if total.argument is None or total.file is None:
                continue
            known = first.setdefault(total.argument, total)
            if known.file != total.file:
                message = f"'{total.argument}' is another table here, and the text of an architecture has one folder"
                other = known.span, "the other one is named here"
                yield Diagnostic(Code.QUANTITY, total.span, message, "give one of them another name", other)


def carry_tables(requirements: Iterable[Requirement], folder: Path) -> None:
    """Copy the tables of requirements into a folder under the names that they have in a text, so that it holds there.

    One of the shipped library is found wherever a text lies, and one outside of the folder is never written.
    """
    for name, file in carried_tables(requirements, folder):
        target = resolved(folder / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, file.read_bytes())


def carried_tables(requirements: Iterable[Requirement], folder: Path) -> Iterator[tuple[str, Path]]:
    """The tables that are copied into a folder: their names there, and where they are."""
    named = {asked.total for requirement in requirements for asked in quantities(requirement)}
    found = {(total.argument or "", total.file) for total in named if total.file is not None}
    for name, file in sorted(found):
        target = resolved(folder / name)
        if file.is_file() and target.is_relative_to(resolved(folder)) and target != file:
            yield name, file
