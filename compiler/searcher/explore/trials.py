"""Trials: the architectures that were proposed, and how good they were."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

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
    repeat: Index = 0
    """How often it was judged with this budget before: each time with other random numbers."""


class Trial(BaseModel):
    """One architecture that was proposed and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Index
    """The number of trials that were proposed before this one."""
    number: Index
    """The number of the architecture in its space."""
    budget: Index
    """The images on which, or the epochs after which, the architecture was judged."""
    score: FiniteFloat
    parents: tuple[Index, ...] = ()
    """The trials whose architectures this one was made from."""
    repeat: Index = 0
    """How often the architecture was judged with this budget before: each time with other random numbers."""
    failed: str = ""
    """The reason why it could not be judged; its score is then 0, and it ranks below all others."""
    votes: dict[str, FiniteFloat] = {}
    """The values of the proxies, where several judge; the score is then the mean of their ranks at that time."""
    same: Index | None = None
    """The trial of the same or an equivalent architecture, whose score it has; None where it was judged itself."""
    decisions: dict[str, str] = {}
    """The items that it takes, by the path of the decision."""
    seconds: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    last: bool = False
    """Whether a callback ended the exploration after it: running trials are judged, and none is proposed any more."""


Event = Trial | Asked
"""A line of a file of trials: one that ended, or one that began while others ran."""


@dataclass
class Ranks:
    """The values of each vote over all trials, and the ranks of others among them."""

    votes: dict[str, list[float]] = field(default_factory=dict)
    """The values in ascending order, by the name of the vote."""

    def add(self, votes: Mapping[str, float]) -> None:
        """Add the values of one more trial."""
        for name, value in votes.items():
            insort(self.votes.setdefault(name, []), value)

    def __call__(self, votes: Mapping[str, float]) -> float:
        """The mean over votes of the share of all trials with a smaller value; equal values count half."""
        found = 0.0
        for name, value in votes.items():
            every = self.votes.get(name) or [value]
            found += (bisect_left(every, value) + bisect_right(every, value)) / (2 * len(every))
        return found / len(votes)

    def merit(self, trial: Trial) -> float:
        """The merit of a trial, the higher the better: its score, or its mean rank, from 0 to 1, where proxies vote."""
        if trial.failed:
            return float("-inf")
        return self(trial.votes) if trial.votes else trial.score


@dataclass
class History:
    """The trials so far, in the order in which they ended, and those that are being judged."""

    trials: list[Trial] = field(default_factory=list)
    running: dict[int, Asked] = field(default_factory=dict)
    """The trials that were proposed and have no result yet, by their ids."""
    known: dict[tuple[int, int], Trial] = field(default_factory=dict)
    """The first trial of each architecture and budget."""
    told: dict[int, Trial] = field(default_factory=dict)
    """The trials by their ids."""
    seen: dict[int, int] = field(default_factory=dict)
    """How many trials had ended when one was proposed, by its id."""
    proposed: set[tuple[int, int]] = field(default_factory=set)
    """The architectures with their budgets that are known or being judged."""
    repeated: int = 0
    """How many trials were asked for that judge an architecture again."""
    spent: float = 0.0
    """The seconds that judging took."""
    stopped: bool = False
    """Whether a callback has ended the exploration."""
    _best: Trial | None = None
    _ranks: Ranks = field(default_factory=Ranks)

    def ask(self, asked: Asked) -> None:
        """Add a trial that begins."""
        self.running[asked.id] = asked
        self.seen[asked.id] = len(self.trials)
        self.proposed.add((asked.number, asked.budget))
        self.repeated += asked.repeat > 0

    def tell(self, trial: Trial) -> None:
        """Add a trial that ended; one that was not asked begins with it."""
        if self.running.pop(trial.id, None) is None:
            self.repeated += trial.repeat > 0
        self.seen.setdefault(trial.id, len(self.trials))
        self.trials.append(trial)
        self.stopped = self.stopped or trial.last
        self.told[trial.id] = trial
        self.proposed.add((trial.number, trial.budget))
        self.known.setdefault((trial.number, trial.budget), trial)
        self.spent += trial.seconds if trial.same is None else 0.0
        self._ranks.add(trial.votes)
        if not trial.repeat and (self._best is None or self._order(trial) > self._order(self._best)):
            self._best = trial

    def merit(self, trial: Trial) -> float:
        """The merit of a trial, the higher the better: its score, or its mean rank, from 0 to 1, where proxies vote."""
        return self._ranks.merit(trial)

    def rank(self, votes: Mapping[str, float]) -> float:
        """The mean over votes of the share of all trials with a smaller value; equal values count half."""
        return self._ranks(votes)

    @property
    def best(self) -> Trial | None:
        """The best trial of the largest budget that did not fail, of equal ones the first that was proposed.

        Where all trials failed it is a failed one; where some were judged again, the one with the best mean. Where
        proxies vote, ranks change with every trial.
        """
        if self.repeated and (confirmed := finalists(self.trials)):
            return max(confirmed, key=self._order)
        return max(self.trials, key=self._order) if self._ranks.votes else self._best

    @property
    def second(self) -> Trial | None:
        """The best trial of any other architecture than that of `best`, with the same budget."""
        best = self.best
        if best is None:
            return None
        judged = finalists(self.trials)
        return max((trial for trial in judged if trial.number != best.number), key=self._order, default=None)

    def _order(self, trial: Trial) -> tuple[bool, int, float, int]:
        return not trial.failed, trial.budget, self.merit(trial), -trial.id

    def replay(self, events: Iterable[Event]) -> None:
        """Add the lines of a file, in order."""
        for event in events:
            if isinstance(event, Trial):
                self.tell(event)
            else:
                self.ask(event)

    def between(self, start: int, end: int) -> list[Trial] | None:
        """The trials from one id up to another, in this order; None while one of them has no result."""
        found = [self.told[k] for k in range(start, end) if k in self.told]
        return found if len(found) == end - start else None

    def number(self, id: int) -> int:
        """The number of the architecture of a trial that ended or is being judged."""
        return (self.told.get(id) or self.running[id]).number

    @property
    def asked(self) -> int:
        """How many trials were proposed: the id of the next."""
        return len(self.trials) + len(self.running)

    @property
    def judged(self) -> int:
        """How many trials were judged, without those that took a known score."""
        return sum(trial.same is None for trial in self.trials)

    def __len__(self) -> int:
        return len(self.trials)


def finalists(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that the derived one is chosen from: those that did not fail, of the largest budget.

    Where some were judged again, only those that were judged most often, each with the mean of its scores.
    """
    judged = [trial for trial in trials if not trial.failed]
    largest = max((trial.budget for trial in judged), default=0)
    judged = [trial for trial in judged if trial.budget == largest]
    if not any(trial.repeat for trial in judged):
        return judged
    scores: dict[int, list[float]] = {}
    for trial in judged:
        if trial.same is None:
            scores.setdefault(trial.number, []).append(trial.score)
    most = max(map(len, scores.values()))
    chosen = [trial for trial in judged if not trial.repeat and len(scores.get(trial.number, ())) == most]
    return [trial.model_copy(update={"score": mean(scores[trial.number])}) for trial in chosen if trial.same is None]


def strongest(trials: Sequence[Trial], count: int, merit: Callable[[Trial], float]) -> list[Trial]:
    """The best ``count`` trials by ``merit`` (`History.merit`), each architecture once, of equal ones the earlier.

    ``trials`` are in the order of their ids.
    """
    found: dict[int, Trial] = {}
    for trial in sorted(trials, key=merit, reverse=True):  # Which keeps the order of equal ones.
        found.setdefault(trial.number, trial)
        if len(found) == count:
            break
    return list(found.values())


def merit_among(trials: Iterable[Trial]) -> Callable[[Trial], float]:
    """The merit of each of these trials (`History.merit`), with ranks among them alone, whatever trials follow."""
    ranks = Ranks()
    for trial in trials:
        ranks.add(trial.votes)
    return ranks.merit
