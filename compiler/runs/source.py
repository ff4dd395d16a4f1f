"""The text that a search searches, and what it uses beside it, in the folder of its run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from compiler.analysis.requirements.tables import carried_tables
from compiler.program.model import Program
from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.run_files import RECORD, SOURCE
from compiler.util.errors import UsageError
from compiler.util.files import atomic_write
from hdas_dsl.text.printable import encodable
from hdas_dsl.text.reading import read_named


class _Known(BaseModel):
    """What is read of the record of the run before."""

    source: tuple[str, ...] = ()


def written_source(program: Program, folder: Path) -> Sequence[str]:
    """The names of the files there that are a run's: those to be written, and what is left of those of an earlier run.

    One that was there before is the user's, also where it is the same.
    """
    left = {name for name in _known(folder) if (folder / SOURCE / name).is_file()}
    return sorted(left.union(p.as_posix() for p in _files(program, folder) if not (folder / SOURCE / p).exists()))


def check_source(program: Program, folder: Path) -> None:
    """Check that no file of the user's own, where ``--out`` has a folder of this name, would be overwritten.

    Raises:
        UsageError: one would.
    """
    known = _known(folder)
    for path, content in _files(program, folder).items():
        target = folder / SOURCE / path
        if target.exists() and path.as_posix() not in known and _bytes(target) != content:
            raise UsageError(f"'{target}' is of no run, and would be overwritten: choose another --out")


def remove_source(folder: Path, read: Collection[Path]) -> None:
    """Remove what an earlier run wrote there, but for files that the new run reads."""
    where, kept = folder / SOURCE, {path.resolve() for path in read}
    for path in (where / name for name in _known(folder)):
        if is_main_process() and path.resolve().is_relative_to(where.resolve()) and path.resolve() not in kept:
            path.unlink(missing_ok=True)


def write_source(program: Program, folder: Path) -> None:
    """Write the text that is searched, and what it uses beside it, into a run's folder, where it means the same.

    The shipped library is found from anywhere; data and plugins are not copied.

    Raises:
        OSError: it cannot be written.
    """
    if not is_main_process():
        return
    where = folder / SOURCE
    for path, content in _files(program, folder).items():
        if _bytes(where / path) != content:
            (where / path).parent.mkdir(parents=True, exist_ok=True)
            atomic_write(where / path, content)


def rewrite_source(program: Program, folder: Path) -> None:
    """Write it where the run began with one that is known to be its own; a run of an earlier version did not.

    Raises:
        OSError: it cannot be written.
    """
    if _known(folder):
        write_source(program, folder)


def _known(folder: Path) -> tuple[str, ...]:
    """The files that the record of the run before names."""
    try:
        return _Known.model_validate_json(read_named(folder / RECORD)).source
    except (OSError, UnicodeDecodeError, ValidationError):
        return ()


def _files(program: Program, folder: Path) -> dict[Path, bytes]:
    """What is written there, by path; not a file that is read from there."""
    root, where = program.unit, folder / SOURCE
    found = {Path(encodable(Path(root.source.name).name)): root}  # the record of the run names it in JSON
    for unit in root.all_used():
        if unit is root or unit.path is None or unit.shipped or root.path is None:
            continue
        if unit.path.is_relative_to(root.path.parent):
            found[unit.path.relative_to(root.path.parent)] = unit
    read = {path for path, unit in found.items() if unit.path and unit.path.resolve() == (where / path).resolve()}
    texts = {path: unit.source.text.encode() for path, unit in found.items() if path not in read}
    tables = carried_tables((item for item, _ in program.requirements), where)
    return texts | {Path(name): file.read_bytes() for name, file in tables}


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
