"""`hdas report RUN...`, or `hdas-report RUN...`: what runs did and found, as one page for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK
from .option import option, position
from .output import line
from .program import run_program


@dataclass(frozen=True, kw_only=True)
class ReportRuns(Command):
    """Write a page for a browser on what runs did and found; several runs are also compared, and studies drawn.

    The page is one file that reads nothing from the network. Of a run that is under way it reads itself again.
    """

    name: ClassVar[str] = "report"
    summary: ClassVar[str] = "a page for a browser on what runs did and found"
    answer: ClassVar[str] = "report"

    runs: tuple[Path, ...] = position("RUN", "folders of runs or studies", read=Path, count="+")
    out: Path = option("-o", "--out", "FILE", "the page", read=Path, default=Path("report.html"))
    title: str = option("--title", "TEXT", "its title", otherwise="the names of the folders", default="")
    json: Path | None = option("--json", "FILE", "also write what it says as JSON", read=Path, otherwise="nowhere")
    plugins: tuple[str, ...] = option(
        "--allow-plugin", "MODULE|FILE", "operations that derived files may name", many=True
    )

    def run(self) -> int:
        """Read the folders, and write the page."""
        from compiler.run_report.reading import report_of
        from compiler.run_report.render import page
        from compiler.util.files import atomic_write

        for folder in self.runs:
            if not folder.is_dir():
                raise UsageError(f"'{folder}' is not a folder")
        report = report_of(self.runs, self.plugins, self.title)
        if self.json is not None:
            atomic_write(self.json, report.model_dump_json(indent=2) + "\n")
        atomic_write(self.out, page(report))
        line(f"report: {self.out}")
        return OK


def main(words: Sequence[str] | None = None) -> int:
    """`hdas-report`."""
    return run_program("hdas-report", ReportRuns, words)
