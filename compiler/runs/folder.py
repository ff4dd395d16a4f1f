"""The folder of a run: one run at a time writes there, and what a killed one left half written is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.run_files import CHECKPOINT, LOCK
from compiler.util.errors import RunError, UsageError
from compiler.util.files import remove_unfinished


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Say that a run ends because its folder cannot be written any more: it is full, read-only, or gone."""
    try:
        yield
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else None
        if where is None or not where.absolute().is_relative_to(folder.absolute()):
            raise
        ends = f"the run ends, since '{where}' cannot be written: {error.strerror}"
        kept = any(folder.rglob(CHECKPOINT))
        raise RunError(f"{ends}; --resume goes on from the last checkpoint" if kept else ends) from error


@contextmanager
def held(folder: Path, parts: Sequence[Path] = ()) -> Iterator[None]:
    """Make a folder and keep other runs out of it; the lock ends with the process, however that ends.

    Of the processes of one run, the main one holds it. ``parts`` are the folders below it that belong to this run;
    others may belong to another, such as that of a training in the folder of its search.

    Raises:
        UsageError: another run holds the folder.
        RunError: it can no longer be written.
        OSError: it cannot be made or written.
    """
    if not is_main_process():
        yield
        return
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / LOCK).acquire(blocking=False)
    except Timeout:
        raise UsageError(f"another run is writing to '{folder}': wait for it, or choose another --out") from None
    with lock:
        for path in (folder, *parts):
            remove_unfinished(path)
        try:
            with _written(folder):
                yield
        finally:
            if made and folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}:  # The run was refused.
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
