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

Pair = tuple[Hashable, int, int]
"""An architecture, up to what is alike, its budget, and how often it was judged so before."""

DEAD = "no input reaches its output: it answers every image alike"
"""Why an architecture is not judged."""


@dataclass(frozen=True)
class Verdict:
    """What a judge says of an architecture, where it is more than a number.

    ``votes`` are what it is ranked by, by name, instead of the score; ``seconds`` are those that count, where these are
    not those that judging took.
    """

    score: float = 0.0
    votes: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


class Judge(Protocol):
    """Says how good an architecture is."""

    @property
    def budgets(self) -> Budgets:
        """What it spends on one."""

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float | Verdict:
        """How good one is, the higher the better; each ``repeat`` is judged with random numbers of its own.

        Raises:
            DivergedError: that cannot be said, for a reason: the trial fails.
        """


class Asking(Protocol):
    """What proposes (`proposers.Proposer`)."""

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


class Here(Workers):
    """This process, which judges one trial after the other.

    Args:
        space: the architectures.
        judge: says how good they are.
    """

    count = 1

    def __init__(self, space: ExploredSpace, judge: Judge) -> None:
        self.space, self.judge = space, judge
        self.begun: list[Asked] = []

    def start(self, asked: Asked) -> None:
        """Remember a trial."""
        self.begun.append(asked)

    def wait(self) -> Judged:
        """Judge the trial that began first."""
        return judged(self.judge, self.space, self.begun.pop(0))


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
    proposer: Asking
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
        workers = self.workers or Here(self.space, self.judge)
        begun = Begun(list(history.running.values()))
        for trial in history.trials:
            begun.judged.setdefault(self._pair(trial), trial)
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
                begun.waiting.append(asked)
            if not history.running:
                return
            trial = self._known(begun) or self._judged(begun, history, workers)
            history.tell(trial)
            begun.judged.setdefault(self._pair(trial), trial)
            self.told(trial, history)
            yield trial

    def _pair(self, of: Asked | Trial) -> Pair:
        return self.space.key(of.number), of.budget, of.repeat

    def _known(self, begun: Begun) -> Trial | None:
        """A trial of an architecture that was judged before with the same budget, or one alike, if one waits."""
        for asked in begun.waiting:
            before = begun.judged.get(self._pair(asked))
            if before is not None:
                begun.waiting.remove(asked)
                return self._trial(asked, Judged(asked.id, before.score, before.failed, votes=before.votes), before.id)
        return None

    def _judged(self, begun: Begun, history: History, workers: Workers) -> Trial:
        """The next trial that a worker ends, after as many were begun as run at once."""
        for asked in tuple(begun.waiting):
            pair = self._pair(asked)
            if len(begun.pairs) < workers.count and pair not in begun.pairs.values():
                begun.waiting.remove(asked)
                begun.pairs[asked.id] = pair
                workers.start(asked)
        found = workers.wait()
        del begun.pairs[found.id]
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
class Begun:
    """Trials that were proposed and are not told: those that wait for a worker, or for an equal one that runs."""

    waiting: list[Asked]
    pairs: dict[int, Pair] = field(default_factory=dict)
    """What each that runs is, up to what is alike."""
    judged: dict[Pair, Trial] = field(default_factory=dict)
    """The first trial of all that are alike, with the same budget."""


@dataclass(frozen=True)
class Limited:
    """Proposes as another does, until judging took so many seconds.

    Args:
        proposer: the other.
        seconds: no trial begins after as many.
    """

    proposer: Asking
    seconds: float

    @property
    def total(self) -> int:
        """As many as the other at most."""
        return self.proposer.total

    def ask(self, history: History) -> Proposal | None:
        """What the other proposes, or nothing at the end of the seconds."""
        return self.proposer.ask(history) if history.spent < self.seconds else None
