"""A page of rich on standard output."""

from __future__ import annotations

from rich.console import Console


class Page(Console):
    """A console that leaves a closed pipe to its caller: rich itself would end the program, with code 1."""

    def on_broken_pipe(self) -> None:
        """Let the error of the write go on."""
        raise
