"""The folder of a run: one run at a time writes there, and what a killed one left half written is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.run_files import LOCK
from compiler.util.errors import UsageError
from compiler.util.files import remove_unfinished


@contextmanager
def held(folder: Path, parts: Sequence[Path] = ()) -> Iterator[None]:
    """Make a folder and keep other runs out of it; the lock ends with the process, however that ends.

    Of the processes of one run, the main one holds it. ``parts`` are the folders below it that belong to this run;
    others may belong to another, such as that of a training in the folder of its search.

    Raises:
        UsageError: another run holds the folder.
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
            yield
        finally:
            if made and folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}:  # The run was refused.
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
