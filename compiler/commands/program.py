"""Programs of one command each: `hdas-diff`, `hdas-fmt`, `hdas-import`, `hdas-measure`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .command import Command
from .console import run
from .parser import CommandParser, Form


def run_program(program: str, command: type[Command], words: Sequence[str] | None) -> int:
    """Run a command by a name of its own, on the words of the command line, or on others."""
    return run(program, sys.argv[1:] if words is None else words, CommandParser(command, Form.PROGRAM, program).read)
