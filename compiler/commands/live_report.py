"""`--report` of the commands that run something: a page that shows it while it is under way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from .option import flag
from .output import remark


def report_flag() -> Any:
    """A field: whether the page is written."""
    return flag("--report", "also write report.html, a page that shows the run while it is under way")


def kept(wanted: bool, folder: Path, plugins: Sequence[str]) -> AbstractContextManager[None]:
    """Keep the page of a folder while a block runs, where it is wanted."""
    if not wanted:
        return nullcontext()
    from compiler.run_report.watch import reported

    return reported(folder, plugins, remark)
