"""Trials: the architectures that were proposed, and how good they were, as lines of a file and in memory.

A file holds them in the order in which they ended. Where several are judged at once, each has a line when it begins
too, so that the file says what was known then, and what was under way when the run was killed.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write, naming

Index = Annotated[int, Field(ge=0)]


class Asked(BaseModel):
    """One architecture that was proposed, and is to be judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Index
    """How many were proposed before."""
    number: Index
    """Which architecture of the space it is."""
    budget: Index
    """On how many images, or after how many epochs, it is judged."""
    parents: tuple[Index, ...] = ()
    """The trials that it comes from."""


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
    """Why it could not be judged, in which case its score is 0, and it is worse than any other."""
    votes: dict[str, FiniteFloat] = {}
    """What it is ranked by, where several proxies judge; its score is then the mean of its ranks when it was told."""
    same: Index | None = None
    """The trial of the same architecture, or one alike, whose score it has; None where it was judged itself."""
    decisions: dict[str, str] = {}
    """The items that it takes, by the path of the decision."""
    seconds: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    last: bool = False
    """Whether a callback ended the exploration behind it: what was under way is judged, and nothing is proposed."""


Event = Trial | Asked
"""A line of a file of trials: one that ended, or one that began while others ran."""
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Header(BaseModel):
    """The first line of a file of trials: the run that they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    """The fingerprint of the run."""


@dataclass
class History:
    """The trials so far, in the order in which they ended, and those that are being judged."""

    trials: list[Trial] = field(default_factory=list)
    running: dict[int, Asked] = field(default_factory=dict)
    """Those that were proposed and are not told yet, by their ids."""
    known: dict[tuple[int, int], Trial] = field(default_factory=dict)
    """The first trial of each architecture and budget."""
    told: dict[int, Trial] = field(default_factory=dict)
    """The trials by their ids."""
    seen: dict[int, int] = field(default_factory=dict)
    """How many trials had ended when one was proposed, by its id."""
    proposed: set[tuple[int, int]] = field(default_factory=set)
    """The architectures with their budgets that are known or being judged."""
    spent: float = 0.0
    """The seconds that judging took."""
    stopped: bool = False
    """Whether a callback has ended the exploration."""
    _best: Trial | None = None
    _votes: dict[str, list[float]] = field(default_factory=dict)
    """What the trials say for each vote, in ascending order."""

    def ask(self, asked: Asked) -> None:
        """Add a trial that begins."""
        self.running[asked.id] = asked
        self.seen[asked.id] = len(self.trials)
        self.proposed.add((asked.number, asked.budget))

    def tell(self, trial: Trial) -> None:
        """Add a trial that ended; one that was not asked begins with it."""
        self.running.pop(trial.id, None)
        self.seen.setdefault(trial.id, len(self.trials))
        self.trials.append(trial)
        self.stopped = self.stopped or trial.last
        self.told[trial.id] = trial
        self.proposed.add((trial.number, trial.budget))
        self.known.setdefault((trial.number, trial.budget), trial)
        self.spent += trial.seconds if trial.same is None else 0.0
        for name, value in trial.votes.items():
            insort(self._votes.setdefault(name, []), value)
        if self._best is None or self._order(trial) > self._order(self._best):
            self._best = trial

    def merit(self, trial: Trial) -> float:
        """How good a trial is, the higher the better: its score; its mean rank, from 0 to 1, where proxies vote."""
        if trial.failed:
            return float("-inf")
        return self.rank(trial.votes) if trial.votes else trial.score

    def rank(self, votes: Mapping[str, float]) -> float:
        """The mean over votes of the share of all trials that say less; those that say as much count half."""
        found = 0.0
        for name, value in votes.items():
            every = self._votes.get(name) or [value]
            found += (bisect_left(every, value) + bisect_right(every, value)) / (2 * len(every))
        return found / len(votes)

    @property
    def best(self) -> Trial | None:
        """The best of those with the largest budget, of equal ones the first that was proposed.

        Where proxies vote, ranks change with every trial.
        """
        return max(self.trials, key=self._order) if self._votes else self._best

    @property
    def second(self) -> Trial | None:
        """The best of another architecture than the best, with the same budget."""
        best = self.best
        if best is None:
            return None
        judged = (trial for trial in self.trials if trial.budget == best.budget and not trial.failed)
        return max((trial for trial in judged if trial.number != best.number), key=self._order, default=None)

    def _order(self, trial: Trial) -> tuple[int, float, int]:
        return trial.budget, self.merit(trial), -trial.id

    def replay(self, events: Iterable[Event]) -> None:
        """Add the lines of a file, in order."""
        for event in events:
            if isinstance(event, Trial):
                self.tell(event)
            else:
                self.ask(event)

    def between(self, start: int, end: int) -> list[Trial] | None:
        """The trials from one id up to another, in this order; None while one of them is not told."""
        found = [self.told[k] for k in range(start, end) if k in self.told]
        return found if len(found) == end - start else None

    def number(self, id: int) -> int:
        """Which architecture a trial is, that ended or is being judged."""
        return (self.told.get(id) or self.running[id]).number

    @property
    def asked(self) -> int:
        """How many were proposed: the id of the next."""
        return len(self.trials) + len(self.running)

    @property
    def judged(self) -> int:
        """How many were judged, and not known before."""
        return sum(trial.same is None for trial in self.trials)

    def __len__(self) -> int:
        return len(self.trials)


def strongest(trials: Sequence[Trial], count: int, merit: Callable[[Trial], float]) -> list[Trial]:
    """The best of trials in the order of their ids, each architecture once, the earlier of equal ones first.

    At most ``count``; ``merit`` says how good one is (`History.merit`).
    """
    found: dict[int, Trial] = {}
    for trial in sorted(trials, key=merit, reverse=True):  # Which keeps the order of equal ones.
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
        header, events = _parsed(self.path, lines)
        if header.run != self.run or not _in_order(events):
            raise UsageError(f"'{self.path}' holds the trials of another run; --force starts anew")
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


def _parsed(path: Path, lines: Sequence[bytes]) -> tuple[Header, list[Event]]:
    try:
        return Header.model_validate_json(lines[0]), [EVENT.validate_json(line) for line in lines[1:]]
    except ValidationError as error:
        raise UsageError(f"'{path}' is damaged: {error.errors()[0]['msg']}; --force starts anew") from None


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
