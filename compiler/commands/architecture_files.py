"""Where the architectures go that commands draw, list and change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write

from .option import OptionGroup, flag, option
from .output import put

if TYPE_CHECKING:
    from compiler.analysis.architectures import Architecture


@dataclass(frozen=True, kw_only=True)
class ArchitectureFiles(OptionGroup):
    """A file in a folder for each architecture, or the text of one on standard output."""

    title: ClassVar[str] = "output"

    folder: Path | None = option("--out", "DIR", "a folder for the files", read=Path, otherwise="standard output")
    force: bool = flag("--force", "overwrite files in --out")

    def write(self, found: Iterable[tuple[str, Architecture]]) -> None:
        """Write architectures under their names, and beside them the tables that they name.

        Raises:
            UsageError: a file is there already, and is not to be overwritten.
        """
        from compiler.analysis.requirements.tables import carry_tables

        for number, (name, architecture) in enumerate(found):
            if self.folder is None:
                put(architecture.text)
                continue
            path = self.folder / f"{name}.hsp"
            if path.exists() and not self.force:
                raise UsageError(f"'{path}' exists: choose another --out, or --force to overwrite it")
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(path, architecture.text)
            if not number:
                carry_tables((item for item, _ in architecture.listing.program.requirements), self.folder)
