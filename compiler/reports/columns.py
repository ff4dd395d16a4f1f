"""Tables on the terminal and in texts, all in one form: columns two spaces apart, without lines."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Table:
    """A table whose first ``left`` columns are aligned to the left, the others, which are numbers, to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, name in enumerate(header):
        table.add_column(name, justify="left" if position < left else "right")
    for row in rows:
        table.add_row(*row)
    return table


def text_of(table: Table) -> str:
    """A table as a text without styles, however wide, and without spaces at the ends of lines."""
    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None).print(table)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())
