"""The space that a derived file was made from, found by the name and the hash in its provenance, and how. No torch."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, ValidationError

from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.setting_values import plain
from compiler.elaborate.values import Bundle
from compiler.searcher.run_files import RECORD, SOURCE
from compiler.searcher.settings.words import Value
from compiler.util.errors import UsageError
from hdas_dsl.text.reading import is_file, read_named
from hdas_dsl.tree import ast
from hdas_dsl.units import LIBRARY

from .model import Program
from .overrides import Override, read_override
from .request import Request


def source_file(program: Program, derived: Path) -> Path:
    """The file of the space that an architecture was derived from.

    It is looked for where the command that `run.json` records had it, beside the derived file and above it, in the
    current folder, and among the shipped spaces; one that has changed since is another, which the run's copy is not.

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
    """The provenance of a file, by name."""
    found: dict[str, Value] = {}
    for section in program.unit.module.lines:
        for line in section.settings if isinstance(section, ast.Provenance) else ():
            try:
                if isinstance(line, ast.Setting):
                    found[str(line.name)] = plain(line.value)
            except ElaborationError:
                continue
    return found


def as_searched(space: Request, architecture: Program, derived: Path) -> Request:
    """A space with the arguments that the search of an architecture gave it: `--set c=3`.

    They are those of the command that `run.json` records, then the defaults of the architecture's network, which a
    derived file has from its search, where the space has another number and leaves nothing to be chosen. What the
    request has already is kept.

    Raises:
        HspError: the space is wrong, or is with these arguments.
    """
    program = space.compile()
    known, kept = _parameters(program), {item.name for item in space.overrides}
    sets = [item for item in _recorded_sets(architecture, derived) if item.name.rpartition(".")[2] in known]
    sets = [item for item in sets if item.name not in kept]
    if sets:
        space = replace(space, overrides=[*space.overrides, *sets])
        program = space.compile()
    return replace(space, overrides=[*space.overrides, *_differing(program, architecture)])


def _differing(space: Program, architecture: Program) -> Iterator[Override]:
    wanted, last = architecture.network.given, space.searched
    phase = f"{last.name}." if last is not None and last.name else ""
    for name, value in space.network.given.items():
        mine, other = _plain(value), _plain(wanted.get(name))
        if mine is not None and other is not None and mine != other:
            yield Override(phase + name, other, f"--set {phase}{name}={other}")


def _parameters(space: Program) -> set[str]:
    """The names that arguments may have, in any phase."""
    networks = [phase.network for phase in space.phases] or [space.network]
    return {name for network in networks for name in network.given}


def _recorded_sets(architecture: Program, derived: Path) -> list[Override]:
    """The `--set` options of the search of an architecture, where its command is recorded."""
    source = recorded(architecture).get("source")
    for folder in (derived.parent, derived.parent.parent):
        words = _words(folder / RECORD)
        if any(Path(word).name == source for word in words):
            found = [word for option, word in pairwise(words) if option == "--set"]
            found += [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
            return [read_override(word) for word in found]
    return []


def _plain(value: object) -> Value:
    """A number, a text, or a tuple of them; None for every other value of an elaboration."""
    match value:
        case int() | float() | str():
            return value
        case Bundle(items=items):
            found = tuple(map(_plain, items))
            return None if None in found else found
        case _:
            return None


def _candidates(name: str, derived: Path) -> Iterator[Path]:
    for folder in (derived.parent, derived.parent.parent):
        yield from (Path(word) for word in _words(folder / RECORD) if Path(word).name == name)
        yield folder / SOURCE / name
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
