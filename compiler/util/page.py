"""A page of rich on standard output, in a terminal or a notebook."""

from __future__ import annotations

from importlib.util import find_spec

from rich.console import Console


class Page(Console):
    """A console that leaves a closed pipe to its caller: rich itself would end the program, with code 1."""

    def on_broken_pipe(self) -> None:
        """Let the error of the write go on."""
        raise


def is_live(console: Console) -> bool:
    """Whether a view can be drawn again and again: on a terminal, and in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


def is_watched() -> bool:
    """Whether somebody looks on: standard output is a terminal, or a notebook's."""
    page = Page()
    return page.is_terminal or page.is_jupyter
