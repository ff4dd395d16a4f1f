"""`hdas runs FOLDER`, or `hdas-runs FOLDER`: the runs below a folder, with their state, score and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK
from .option import flag, option, position
from .output import line, put
from .program import run_program


@dataclass(frozen=True, kw_only=True)
class ListRuns(Command):
    """List the searches, trainings and studies below a folder: state, score, test accuracy, cost and time."""

    name: ClassVar[str] = "runs"
    summary: ClassVar[str] = "the runs below a folder, with state, score and cost"
    answer: ClassVar[str] = "runs"

    folder: Path = position("FOLDER", "where runs lie, such as runs", read=Path)
    json: bool = flag("--json", "print one JSON object")
    plugins: tuple[str, ...] = option(
        "--allow-plugin", "MODULE|FILE", "operations that derived files may name", many=True
    )

    def run(self) -> int:
        """Look at the folder, and print a row for each run."""
        import json

        from compiler.reports.columns import text_of
        from compiler.run_report.listing import listed, table_of

        if not self.folder.is_dir():
            raise UsageError(f"'{self.folder}' is not a folder")
        rows = list(listed(self.folder, self.plugins))
        if self.json:
            line(json.dumps({"runs": [row.model_dump(mode="json") for row in rows]}))
        elif rows:
            put(text_of(table_of(rows)))
        else:
            line(f"no run in '{self.folder}'")
        return OK


def main(words: Sequence[str] | None = None) -> int:
    """`hdas-runs`."""
    return run_program("hdas-runs", ListRuns, words)
