"""The loop of an exploration: propose, judge, tell. No torch: a judge may need it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from compiler.searcher.engine.errors import DivergedError
from compiler.util.seeds import mix

from .proposers import Budgets, Proposal, Stream
from .space import Candidate, ExploredSpace
from .trials import History, Trial


class Judge(Protocol):
    """Says how good an architecture is."""

    @property
    def budgets(self) -> Budgets:
        """What it spends on one."""

    def score(self, found: Candidate, budget: int) -> float:
        """How good one is, the higher the better."""


class Asked(Protocol):
    """What proposes (`proposers.Proposer`)."""

    @property
    def total(self) -> int:
        """How many proposals there are at most."""

    def ask(self, history: History) -> Proposal | None:
        """The next proposal; None at the end."""


def stream_of(seed: int) -> Stream:
    """The random numbers of each proposal of a run, which depend on no other."""
    return lambda k: Random(mix(seed, "ask", k))


@dataclass(frozen=True)
class Study:
    """An exploration.

    ``known`` are the trials of an earlier part of the run; ``told`` is called with each new one, and may raise.
    """

    space: ExploredSpace
    proposer: Asked
    judge: Judge
    told: Callable[[Trial, History], None]

    def run(self, known: Iterable[Trial] = ()) -> History:
        """All trials, those that are known first.

        Raises:
            UsageError: none of many architectures that were proposed meets what is required.
        """
        history = History()
        for trial in known:
            history.tell(trial)
        while (proposal := self.proposer.ask(history)) is not None:
            trial = self._tried(proposal, history)
            history.tell(trial)
            self.told(trial, history)
        return history

    def _tried(self, proposal: Proposal, history: History) -> Trial:
        found, since = proposal.candidate, time.monotonic()
        before = history.known.get((found.number, proposal.budget))
        failed = "" if before is None else before.failed
        try:
            score = self.judge.score(found, proposal.budget) if before is None else before.score
        except DivergedError as reason:
            score, failed = 0.0, str(reason)
        return Trial(
            id=len(history),
            number=found.number,
            budget=proposal.budget,
            score=score,
            parents=proposal.parents,
            failed=failed,
            same=None if before is None else before.id,
            decisions=self.space.readable(found),
            seconds=round(time.monotonic() - since, 3),
        )
