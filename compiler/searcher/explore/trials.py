"""Trials: the architectures that were proposed, and how good they were, as lines of a file and in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write, naming

Index = Annotated[int, Field(ge=0)]


class Trial(BaseModel):
    """One architecture that was proposed and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Index
    """How many were proposed before."""
    number: Index
    """Which architecture of the space it is."""
    budget: Index
    """On how many images, or after how many epochs, it was judged."""
    score: FiniteFloat
    parents: tuple[Index, ...] = ()
    """The trials that it comes from."""
    failed: str = ""
    """Why it could not be judged, in which case its score is 0."""
    same: Index | None = None
    """The trial of the same architecture, judged alike, whose score it has; None where it was judged itself."""
    decisions: dict[str, str] = {}
    """The items that it takes, by the path of the decision."""
    seconds: Annotated[FiniteFloat, Field(ge=0)] = 0.0


class Header(BaseModel):
    """The first line of a file of trials: the run that they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    """The fingerprint of the run."""


@dataclass
class History:
    """The trials so far, in order."""

    trials: list[Trial] = field(default_factory=list)
    known: dict[tuple[int, int], Trial] = field(default_factory=dict)
    """The first trial of each architecture and budget."""
    best: Trial | None = None
    """The first with the highest score of those with the largest budget."""

    def tell(self, trial: Trial) -> None:
        """Add a trial."""
        self.trials.append(trial)
        self.known.setdefault((trial.number, trial.budget), trial)
        if self.best is None or (trial.budget, trial.score) > (self.best.budget, self.best.score):
            self.best = trial

    @property
    def judged(self) -> int:
        """How many were judged, and not known before."""
        return len(self.known)

    def __len__(self) -> int:
        return len(self.trials)


def strongest(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The best trials, each architecture once, the earlier of equal ones first; at most ``count``."""
    found: dict[int, Trial] = {}
    for trial in sorted(trials, key=lambda trial: (-trial.score, trial.id)):
        found.setdefault(trial.number, trial)
        if len(found) == count:
            break
    return list(found.values())


class TrialLog:
    """A file of trials, a line each, of which every line is on the disk before the next trial is proposed.

    Args:
        path: the file.
        run: the fingerprint of the run.
        writes: whether this process does; of several, one.
    """

    def __init__(self, path: Path, run: str, writes: bool = True) -> None:
        self.path, self.run, self.writes = path, run, writes

    def start(self, resume: bool) -> list[Trial]:
        """The trials that the file has of this run, where it is resumed; otherwise it begins anew.

        What a kill left of a last line is removed.

        Raises:
            UsageError: the file is damaged, or of another run.
        """
        lines = self.path.read_bytes().split(b"\n")[:-1] if resume and self.path.is_file() else []
        if not lines:
            self._write([Header(run=self.run).model_dump_json().encode()])
            return []
        try:
            header = Header.model_validate_json(lines[0])
            trials = [Trial.model_validate_json(line) for line in lines[1:]]
        except ValidationError as error:
            raise UsageError(f"'{self.path}' is damaged: {error.errors()[0]['msg']}; --force starts anew") from None
        if header.run != self.run or [trial.id for trial in trials] != list(range(len(trials))):
            raise UsageError(f"'{self.path}' holds the trials of another run; --force starts anew")
        self._write(lines)
        return trials

    def _write(self, lines: Sequence[bytes]) -> None:
        if self.writes:
            atomic_write(self.path, b"".join(line + b"\n" for line in lines))

    def append(self, trial: Trial) -> None:
        """Write a trial, and have it on the disk."""
        if not self.writes:
            return
        with naming(self.path), self.path.open("ab") as file:
            file.write(trial.model_dump_json(exclude_defaults=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
