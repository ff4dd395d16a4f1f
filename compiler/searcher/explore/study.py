"""The loop of an exploration: propose, judge, tell. No torch: a judge may need it.

Proposing and telling is done by one process, which writes the log; workers judge, one or several at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

from compiler.searcher.engine.errors import DivergedError
from compiler.util.seeds import mix

from .proposer import Budgets, Proposal, Stream
from .space import Candidate, ExploredSpace
from .trials import Asked, Event, History, Trial

EvaluationKey = tuple[Hashable, int, int]
"""The equivalence class of an architecture (`ExploredSpace.key`), its budget, and its number among repeats."""

DEAD = "its output depends on no input: the prediction is the same for every image"
"""Why an architecture is not judged."""


@dataclass(frozen=True)
class Verdict:
    """The result of judging an architecture, where it is more than a score.

    ``votes``, by name, rank it instead of the score; ``seconds`` count instead of the seconds that judging took.
    """

    score: float = 0.0
    votes: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


class Judge(Protocol):
    """Scores architectures."""

    @property
    def budgets(self) -> Budgets:
        """What it spends on one architecture."""

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float | Verdict:
        """The score of an architecture, the higher the better; each ``repeat`` has random numbers of its own.

        Raises:
            DivergedError: the architecture has no score; the trial fails with the message as its reason.
        """


class AnyProposer(Protocol):
    """Proposes architectures (`proposer.Proposer`)."""

    @property
    def total(self) -> int:
        """How many proposals there are at most."""

    def ask(self, history: History) -> Proposal | None:
        """The next proposal; None where it depends on a trial that is being judged, or, where none is, at the end."""


def stream_of(seed: int) -> Stream:
    """The random numbers of each proposal of a run, which depend on no other."""
    return lambda k: Random(mix(seed, "ask", k))


@dataclass(frozen=True)
class Judged:
    """How good a trial is, and how long it took."""

    id: int
    score: float
    failed: str = ""
    seconds: float = 0.0
    votes: Mapping[str, float] = field(default_factory=dict)


class Workers(Protocol):
    """Judges trials, of which ``count`` run at once."""

    @property
    def count(self) -> int:
        """How many run at once."""

    def start(self, asked: Asked) -> None:
        """Begin a trial."""

    def wait(self) -> Judged:
        """The next trial that ends."""


class InProcess(Workers):
    """This process, which judges one trial after the other.

    Args:
        space: the architectures.
        judge: says how good they are.
    """

    count = 1

    def __init__(self, space: ExploredSpace, judge: Judge) -> None:
        self.space, self.judge = space, judge
        self.pending: list[Asked] = []

    def start(self, asked: Asked) -> None:
        """Remember a trial."""
        self.pending.append(asked)

    def wait(self) -> Judged:
        """Judge the trial that began first."""
        return judged(self.judge, self.space, self.pending.pop(0))


def judged(judge: Judge, space: ExploredSpace, asked: Asked) -> Judged:
    """How good an architecture is; one that cannot be judged is the worst, with a reason."""
    since, failed = time.monotonic(), ""
    candidate = space.candidate(asked.number)
    if not space.lives(candidate):
        return Judged(asked.id, 0.0, DEAD)
    try:
        found = judge.score(candidate, asked.budget, asked.repeat)
    except DivergedError as reason:
        found, failed = 0.0, str(reason)
    said = found if isinstance(found, Verdict) else Verdict(found)
    took = time.monotonic() - since if said.seconds is None else said.seconds
    return Judged(asked.id, said.score, failed, round(took, 3), said.votes)


@dataclass(frozen=True)
class Study:
    """An exploration.

    ``told`` is called with each trial that ends, and ``began`` with each that begins; both may raise. Without
    ``workers`` this process judges.
    """

    space: ExploredSpace
    proposer: AnyProposer
    judge: Judge
    told: Callable[[Trial, History], None]
    began: Callable[[Asked], None] = lambda asked: None
    workers: Workers | None = None

    def run(self, known: Iterable[Event] = ()) -> History:
        """All trials, those that are known first.

        Raises:
            UsageError: none of many architectures that were proposed meets what is required.
        """
        history = History()
        history.replay(known)
        for _ in self.trials(history):
            pass
        return history

    def trials(self, history: History) -> Iterator[Trial]:
        """The trials that follow those of a history, as they end, each told to it.

        As many are proposed as run at once, each by what was told before it. What was being judged when the run was
        killed is judged first.

        Raises:
            UsageError: none of many architectures that were proposed meets what is required.
        """
        workers = self.workers or InProcess(self.space, self.judge)
        pending = PendingTrials(list(history.running.values()))
        for trial in history.trials:
            pending.judged.setdefault(self._key(trial), trial)
        while True:
            while (
                not history.stopped
                and len(history.running) < workers.count
                and (proposal := self.proposer.ask(history)) is not None
            ):
                asked = Asked(
                    id=history.asked,
                    number=proposal.candidate.number,
                    budget=proposal.budget,
                    parents=proposal.parents,
                    repeat=proposal.repeat,
                )
                self.began(asked)
                history.ask(asked)
                pending.waiting.append(asked)
            if not history.running:
                return
            trial = self._known(pending) or self._judged(pending, history, workers)
            history.tell(trial)
            pending.judged.setdefault(self._key(trial), trial)
            self.told(trial, history)
            yield trial

    def _key(self, of: Asked | Trial) -> EvaluationKey:
        return self.space.key(of.number), of.budget, of.repeat

    def _known(self, pending: PendingTrials) -> Trial | None:
        """The trial of a waiting architecture whose equivalence class was judged before with the same budget."""
        for asked in pending.waiting:
            before = pending.judged.get(self._key(asked))
            if before is not None:
                pending.waiting.remove(asked)
                return self._trial(asked, Judged(asked.id, before.score, before.failed, votes=before.votes), before.id)
        return None

    def _judged(self, pending: PendingTrials, history: History, workers: Workers) -> Trial:
        """The next trial that a worker ends; first as many waiting ones are started as run at once."""
        for asked in tuple(pending.waiting):
            key = self._key(asked)
            if len(pending.running) < workers.count and key not in pending.running.values():
                pending.waiting.remove(asked)
                pending.running[asked.id] = key
                workers.start(asked)
        found = workers.wait()
        del pending.running[found.id]
        if found.votes:
            found = replace(found, score=history.rank(found.votes))
        return self._trial(history.running[found.id], found, None)

    def _trial(self, asked: Asked, found: Judged, same: int | None) -> Trial:
        return Trial(
            id=asked.id,
            number=asked.number,
            budget=asked.budget,
            score=found.score,
            parents=asked.parents,
            repeat=asked.repeat,
            failed=found.failed,
            same=same,
            decisions=self.space.readable(self.space.candidate(asked.number)),
            seconds=found.seconds,
            votes=dict(found.votes),
        )


@dataclass
class PendingTrials:
    """Trials that were proposed and have no result yet: waiting for a worker or for an equivalent one, or running."""

    waiting: list[Asked]
    running: dict[int, EvaluationKey] = field(default_factory=dict)
    """The key of each running trial, by its id."""
    judged: dict[EvaluationKey, Trial] = field(default_factory=dict)
    """The first trial of each key."""


@dataclass(frozen=True)
class TimeLimited:
    """Passes a proposer's proposals on until judging took so many seconds.

    Args:
        proposer: the proposer.
        seconds: the limit; no trial begins after it.
    """

    proposer: AnyProposer
    seconds: float

    @property
    def total(self) -> int:
        """The total of the proposer; a time limit may end the run before."""
        return self.proposer.total

    def ask(self, history: History) -> Proposal | None:
        """The proposer's next proposal; None at the time limit."""
        return self.proposer.ask(history) if history.spent < self.seconds else None
