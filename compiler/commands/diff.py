"""`hdas diff LEFT RIGHT`, or `hdas-diff LEFT RIGHT`: what differs between two files, by choice path."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError
from hdas_dsl.text.reading import read_text

from .command import Command
from .console import DIFFERENT, OK, WRONG_USAGE, reason
from .option import flag, option, position
from .output import put
from .program import run_program


@dataclass(frozen=True, kw_only=True)
class Diff(Command):
    """Say what differs between two .hsp files, by choice path. Exits as diff does: 0 same, 1 different, 2 trouble."""

    name: ClassVar[str] = "diff"
    summary: ClassVar[str] = "what differs between two files, by choice path"
    answer: ClassVar[str] = "differences"
    wrong_file: ClassVar[int] = WRONG_USAGE

    left: Path = position("LEFT", "a .hsp file", read=Path)
    right: Path = position("RIGHT", "another", read=Path)
    json: bool = flag("--json", "print one JSON object")
    svg: Path | None = option(
        "--svg", "FILE", "also draw both as one picture, what differs in colour", read=Path, otherwise="nowhere"
    )
    plugins: tuple[str, ...] = option("--allow-plugin", "MODULE|FILE", "operations that --svg may draw", many=True)

    def run(self) -> int:
        """Print the differences."""
        from hdas_dsl.diff.differ import diff
        from hdas_dsl.parse.parser import parse_text

        texts = [(_text(path), str(path)) for path in (self.left, self.right)]
        found = diff(*(parse_text(text, name) for text, name in texts))
        if self.svg is not None:
            self._draw(self.svg)
        if sys.stdout.isatty() and not self.json:
            sys.stdout.write(found.render(colour=True))
        else:
            put(found.to_json() + "\n" if self.json else found.render())
        return OK if found.same else DIFFERENT

    def _draw(self, target: Path) -> None:
        """Write the picture of both files, which have to compile."""
        from compiler.backend.plugins import allow
        from compiler.program.request import Request
        from compiler.reports.svg import svg_difference
        from compiler.util.files import atomic_write

        left, right = (
            Request(path, externals=allow(self.plugins)).compile().network for path in (self.left, self.right)
        )
        atomic_write(target, svg_difference(left, right))


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {reason(error)}") from None


def diff_main(words: Sequence[str] | None = None) -> int:
    """`hdas-diff`."""
    return run_program("hdas-diff", Diff, words)
