"""`hdas fmt FILES`, or `hdas-fmt FILES`: files in their canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.reading import read_text

from .command import Command
from .console import OK, WRONG_FILE, reason, show
from .groups import standard_input
from .option import flag, position
from .output import complain, line, put
from .program import run_program


@dataclass(frozen=True, kw_only=True)
class Format(Command):
    """Write .hsp files in their canonical form. A file is written as a whole or not at all."""

    name: ClassVar[str] = "fmt"
    summary: ClassVar[str] = "write files in their canonical form"
    no_json: ClassVar[str] = "it prints texts of the language, or nothing"

    files: tuple[str, ...] = position("FILE", "files to rewrite, or - for standard input to output", count="+")
    check: bool = flag("--check", "change nothing; exit 1 where a file would change")

    def run(self) -> int:
        """Format each file; a wrong one is reported and left alone."""
        return max(map(self._format, self.files), default=OK)

    def _format(self, name: str) -> int:
        from hdas_dsl.format import format_text

        try:
            text = standard_input() if name == "-" else read_text(Path(name))
            formatted = format_text(text, "<stdin>" if name == "-" else name)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"'{name}' cannot be read: {reason(error)}") from None
        except HspError as error:
            show(error.diagnostics)
            return WRONG_FILE
        if self.check:
            if formatted != text:
                line(f"{name} would change")
                return WRONG_FILE
        elif name == "-":
            put(formatted)
        elif formatted != text:
            atomic_write(Path(name), formatted)
            complain(f"{name} formatted")
        return OK


def format_main(words: Sequence[str] | None = None) -> int:
    """`hdas-fmt`."""
    return run_program("hdas-fmt", Format, words)
