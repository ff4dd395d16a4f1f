"""The space that a derived file was made from, found by the name and the hash in its provenance. No torch."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.setting_values import plain
from compiler.searcher.run_files import RECORD
from compiler.searcher.settings.words import Value
from compiler.util.errors import UsageError
from hdas_dsl.text.reading import is_file, read_named
from hdas_dsl.tree import ast
from hdas_dsl.units import LIBRARY

from .model import Program


def source_file(program: Program, derived: Path) -> Path:
    """The file of the space that an architecture was derived from.

    It is looked for where the command that `run.json` records had it, beside the derived file and above it, in the
    current folder, and among the shipped spaces; one that has changed since is another.

    Raises:
        UsageError: the architecture does not say what it was derived from, or no such file is found.
    """
    said = recorded(program)
    name, sha = said.get("source"), said.get("sha256")
    if not isinstance(name, str) or not isinstance(sha, str):
        raise UsageError(f"'{derived}' does not say which space it was derived from: name it with --space FILE")
    for path in _candidates(name, derived):
        if is_file(path) and _sha256(path) == sha:
            return path
    raise UsageError(f"'{derived}' was derived from '{name}', which is not found as it was: name it with --space FILE")


def recorded(program: Program) -> dict[str, Value]:
    """What the provenance of a file says, by name."""
    found: dict[str, Value] = {}
    for section in program.unit.module.lines:
        for line in section.settings if isinstance(section, ast.Provenance) else ():
            try:
                if isinstance(line, ast.Setting):
                    found[str(line.name)] = plain(line.value)
            except ElaborationError:
                continue
    return found


def _candidates(name: str, derived: Path) -> Iterator[Path]:
    for folder in (derived.parent, derived.parent.parent):
        yield from (Path(word) for word in _words(folder / RECORD) if Path(word).name == name)
    folders = [*derived.absolute().parents, Path(), Path("spaces"), LIBRARY]
    yield from (folder / name for folder in folders)
    yield from LIBRARY.glob(f"*/{name}")


class _Command(BaseModel):
    command: str


def _words(record: Path) -> list[str]:
    """The words of the command that a run's folder records."""
    try:
        return shlex.split(_Command.model_validate_json(read_named(record)).command)
    except (OSError, UnicodeDecodeError, ValidationError, ValueError):
        return []


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_named(path).encode()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return None
