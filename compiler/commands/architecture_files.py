"""Where the architectures go that commands draw, list and change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write

from .json_output import json_flag, put_json
from .option import OptionGroup, flag, option
from .output import put

if TYPE_CHECKING:
    from compiler.analysis.architectures import Architecture

    from .answers import Architectures as Answers


@dataclass(frozen=True, kw_only=True)
class ArchitectureFiles(OptionGroup):
    """A file in a folder for each architecture, or the text of one on standard output."""

    title: ClassVar[str] = "output"

    folder: Path | None = option("--out", "DIR", "a folder for the files", read=Path, otherwise="standard output")
    force: bool = flag("--force", "overwrite files in --out")
    json: bool = json_flag()

    def write(self, found: Iterable[tuple[str, Architecture]]) -> None:
        """Write architectures under their names, and beside them the tables that they name.

        Raises:
            UsageError: a file is there already, and is not to be overwritten.
        """
        written = []
        for at, (name, architecture) in enumerate(found):
            path = self._write(name, architecture, is_first=not at)
            if self.json:
                written.append((architecture, path))
        if self.json:
            put_json(answer_of(written, with_text=True))

    def _write(self, name: str, architecture: Architecture, is_first: bool) -> Path | None:
        """Write one, with the tables of all where it is the first; the file, where there is one."""
        from compiler.analysis.requirements.tables import carry_tables

        if self.folder is None:
            if not self.json:
                put(architecture.text)
            return None
        path = self.folder / f"{name}.hsp"
        if path.exists() and not self.force:
            raise UsageError(f"'{path}' exists: choose another --out, or --force to overwrite it")
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, architecture.text)
        if is_first:
            carry_tables((item for item, _ in architecture.listing.program.requirements), self.folder)
        return path


def answer_of(found: Iterable[tuple[Architecture, Path | None]], with_text: bool) -> Answers:
    """Architectures with the files that they were written to; the text of the others, where it is asked for."""
    from .answers import Architectures

    made = []
    for architecture, path in found:
        number = architecture.number
        made.append(
            Architectures.Found(
                number=None if number is None else str(number),
                decisions=architecture.readable,
                file=None if path is None else str(path),
                text=architecture.text if with_text and path is None else None,
            )
        )
    return Architectures(architectures=tuple(made))
