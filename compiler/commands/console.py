"""What the commands have in common: how they read their line, show what is wrong, and exit.

Exit codes: 0 fine; 1 the file is wrong; 2 the command line is wrong; 3 a run failed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from hdas_dsl.text.diagnostics import Diagnostic

OK, WRONG_FILE, WRONG_USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130


class Parser(argparse.ArgumentParser):
    """A command line; what is wrong with it is said in a line after the usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(WRONG_USAGE)


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Diagnostics on standard error, with a count at the end."""
    for diagnostic in diagnostics:
        print(diagnostic.render(), file=sys.stderr)
    errors = sum(diagnostic.severity.value == "error" for diagnostic in diagnostics)
    if errors > 1:
        print(f"{errors} errors", file=sys.stderr)


def trouble(program: str, message: str, code: int) -> int:
    """Say what went wrong on standard error; the exit code."""
    print(f"{program}: {message}", file=sys.stderr)
    return code
