"""What an earlier run left in a folder where another starts anew: removed or set aside; what no run wrote stays."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import rmtree

from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.run_files import (
    CHECKPOINT,
    COMPARISON,
    DERIVED,
    EVENTS,
    HISTORY,
    LOG,
    PARETO,
    RECORD,
    REPORT,
    RESULT,
    RUNNER_UP,
    SETTINGS,
    SPACE,
    TRAINED,
    TRAININGS,
    TRIALS,
    VERSUS,
    WEIGHTS,
    WORKERS_LOG,
)

from .folder import held

RUN = (CHECKPOINT, LOG, HISTORY, EVENTS, REPORT)
SEARCH = (*RUN, TRIALS, TRAININGS, WORKERS_LOG, DERIVED, RUNNER_UP, PARETO, SPACE)
TRAINING = (*RUN, WEIGHTS, RESULT)

WRITTEN = {
    EVENTS: re.compile(r"events\.out\.tfevents\..+"),
    TRAININGS: re.compile(r"[0-9a-f]{16}(\.lock)?"),
    PARETO: re.compile(r"[0-9]{2,}\.hsp|front\.csv|front\.svg"),
}
"""The names of what runs write in the folders below theirs."""
BEGUN = (SETTINGS, RECORD, SPACE, CHECKPOINT, TRIALS, HISTORY, COMPARISON)
"""A folder with one of these is that of a run."""


def empty(folder: Path) -> None:
    """Remove what runs wrote in a folder below theirs, and the folder where nothing else is in it.

    ``--out`` may be the user's own folder, with one of such a name.
    """
    written = WRITTEN[folder.name]
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if written.fullmatch(path.name) is None:
                continue
            if path.is_dir() and not path.is_symlink():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        folder.rmdir()


def start_anew(folders: Collection[Path], names: Sequence[str], read: Collection[Path]) -> None:
    """Remove what an earlier run left in folders, which would pass for what the new one does until that is written.

    A run that `--force` starts and that is killed, or fails, would have the result of the one before, and `--resume`
    would go on behind phases that only that one finished. Files that the new run reads stay.
    """
    if not is_main_process():
        return
    kept = {path.resolve() for path in read}
    for path in (folder / name for folder in folders if _is_begun(folder) for name in names):
        if any(item.is_relative_to(path.resolve()) for item in kept):
            continue
        if path.name in WRITTEN:
            empty(path)
        elif not path.is_dir() and (path.name != REPORT or _is_report(path)):
            path.unlink(missing_ok=True)


def set_aside(folder: Path, phases: Collection[Path]) -> Iterator[str]:
    """Rename what was done with the architecture of an earlier search, which is not that of the new one; say where.

    ``phases`` are the folders of the new search, of which one may have such a name.

    Raises:
        UsageError: that is still under way.
    """
    found = [folder / name for name in (TRAINED, VERSUS) if is_main_process()]
    found = [path for path in found if path not in phases and not (path / SPACE).is_file()]
    found = [path for path in found if _is_begun(path) or any(path.glob("*/seed-*"))]  # The last is a comparison's.
    for path in found:
        with held(path):  # and no run is writing there
            pass
    for path in found:
        names = (f"{path.name}-before" + (f"-{number}" if number > 1 else "") for number in count(1))
        target = next(folder / name for name in names if not (folder / name).exists())
        path.rename(target)
        yield f"'{path}' is of the architecture that was found before: it is '{target}' now"


def _is_begun(folder: Path) -> bool:
    return any((folder / name).is_file() for name in BEGUN)


def _is_report(path: Path) -> bool:
    """Whether a page is one that this project wrote."""
    with suppress(OSError), path.open("rb") as file:
        return b'content="hdas-report"' in file.read(4096)
    return False
