"""The file of trials: a line for each, in the order in which they ended.

Where several are judged at once, each has a line when it begins too, so that the file says what was known then, and
what was under way when the run was killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write, naming

from .trials import Event, Trial

EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Header(BaseModel):
    """The first line of a file of trials: the run that they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    """The fingerprint of the run."""


class TrialLog:
    """A file of trials, a line each, of which every line is on the disk before the next trial is proposed.

    Args:
        path: the file.
        run: the fingerprint of the run.
        writes: whether this process does; of several, one.
        changed: what is set otherwise than in the run that the file may be of, a clause each.
    """

    def __init__(self, path: Path, run: str, writes: bool = True, changed: Sequence[str] = ()) -> None:
        self.path, self.run, self.writes, self.changed = path, run, writes, changed

    def start(self, resume: bool) -> list[Event]:
        """What the file has of this run, where it is resumed; otherwise it begins anew.

        What a kill left of a last line is removed.

        Raises:
            UsageError: the file is damaged, or of another run.
        """
        lines = _lines(self.path) if resume else []
        if not lines:
            self._write([Header(run=self.run).model_dump_json().encode()])
            return []
        header, events = _parsed(self.path, lines, "; --force starts anew")
        if header.run != self.run or not _in_order(events):
            other = f", of other settings ({', '.join(self.changed)})" if self.changed else ""
            raise UsageError(f"'{self.path}' holds the trials of another run{other}; --force starts anew")
        self._write(lines)
        return events

    def _write(self, lines: Sequence[bytes]) -> None:
        if self.writes:
            atomic_write(self.path, b"".join(line + b"\n" for line in lines))

    def append(self, event: Event) -> None:
        """Write a trial that begins or ended, and have it on the disk."""
        if not self.writes:
            return
        with naming(self.path), self.path.open("ab") as file:
            file.write(event.model_dump_json(exclude_defaults=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def recorded(path: Path) -> list[Event]:
    """What a file of trials has, of whatever run; nothing where there is none.

    Raises:
        UsageError: it is damaged.
    """
    lines = _lines(path)
    return _parsed(path, lines)[1] if lines else []


def _lines(path: Path) -> list[bytes]:
    """The whole lines of a file that may not be there."""
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []


def _parsed(path: Path, lines: Sequence[bytes], advice: str = "") -> tuple[Header, list[Event]]:
    try:
        return Header.model_validate_json(lines[0]), [EVENT.validate_json(line) for line in lines[1:]]
    except ValidationError as error:
        raise UsageError(f"'{path}' is damaged: {error.errors()[0]['msg']}{advice}") from None


def _in_order(events: Iterable[Event]) -> bool:
    """Whether each trial begins as the next one, and ends once."""
    begun, running = 0, set()
    for event in events:
        if event.id == begun:
            begun += 1
            running.add(event.id)
        elif not isinstance(event, Trial):
            return False
        if isinstance(event, Trial):
            if event.id not in running:
                return False
            running.remove(event.id)
    return True
