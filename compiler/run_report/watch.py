"""A page that is written again while a run is under way, by a thread of the run: it must neither end nor slow it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compiler.searcher.run_files import COMPARISON, HISTORY, REPORT, RESULT, SPACE, TRIALS
from compiler.studies.results import PLAN, RUNS
from compiler.util.files import atomic_write
from hdas_dsl.text.errors import HdasError

from .reading import is_run, report_of
from .render import page

EVERY = 10.0
"""Seconds between two looks at the folder."""


def write_report(folder: Path, plugins: Sequence[str] = ()) -> Path | None:
    """Write the report of a run or a study into its folder; None where nothing is there yet.

    Raises:
        OSError: it cannot be written.
    """
    if not is_run(folder) and not (folder / PLAN).is_file():
        return None
    target = folder / REPORT
    atomic_write(target, page(report_of([folder], plugins)))
    return target


@contextmanager
def reported(
    folder: Path, plugins: Sequence[str] = (), warn: Callable[[str], None] = print, every: float = EVERY
) -> Iterator[None]:
    """Keep the report of a run in its folder while the block runs, and write it once more at its end.

    ``warn`` gets a sentence where it cannot be written; the run goes on.
    """
    ended = threading.Event()
    said = False

    def write() -> None:
        nonlocal said
        try:
            write_report(folder, plugins)
        except (HdasError, OSError) as error:
            if not said:
                warn(f"warning: no report: {error}")
            said = True

    def watch() -> None:
        before: object = None
        while not ended.wait(every):
            now = stamps(folder)
            if now != before:
                write()
            before = now

    thread = threading.Thread(target=watch, name="report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        write()


def stamps(folder: Path) -> list[tuple[str, int]]:
    """When the files that a report is made from were last written."""
    files = (SPACE, HISTORY, TRIALS, RESULT, COMPARISON, RUNS)
    found = [path for name in files for path in (folder / name, *folder.glob(f"*/{name}"))]
    return sorted((str(path), path.stat().st_mtime_ns) for path in found if path.is_file())
