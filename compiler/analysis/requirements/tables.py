"""The latency tables that files name, beside the files that are written from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from compiler.elaborate import Requirement
from compiler.util.files import atomic_write
from hdas_dsl.text.reading import resolved

from .evaluate import quantities


def carry_tables(requirements: Iterable[Requirement], folder: Path) -> None:
    """Copy the tables of requirements into a folder under the names that they have in a text, so that it holds there.

    One of the shipped library is found wherever a text lies, and one outside of the folder is never written.
    """
    named = {asked.total for requirement in requirements for asked in quantities(requirement)}
    found = {(total.argument or "", total.file) for total in named if total.file is not None}
    for name, file in sorted(found):
        target = resolved(folder / name)
        if file.is_file() and target.is_relative_to(resolved(folder)) and target != file:
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(target, file.read_bytes())
