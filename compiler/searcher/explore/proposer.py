"""The base class of proposers: functions of the trials so far and of a stream of random numbers.

A proposer has no state that does not follow from the trials, so that reading them again rebuilds it. Proposal k draws
from stream k alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .space import Candidate, ExploredSpace, NoneMeetsError
from .trials import History, Trial

FRESH = 50
"""How many mutants, or children, may be known already before an architecture is drawn instead."""

Stream = Callable[[int], Random]
"""The random numbers of a proposal, by the number of proposals before it."""


@dataclass(frozen=True)
class Proposal:
    """An architecture to be judged with a budget: on so many images, or after so many epochs."""

    candidate: Candidate
    budget: int
    parents: tuple[int, ...] = ()
    repeat: int = 0
    """How often it was judged with this budget before."""


@dataclass(frozen=True)
class Budgets:
    """The budgets of a judge, in images or epochs: ``stated`` by its settings, and the largest that it has."""

    stated: int
    whole: int


class Proposer(ABC):
    """Proposes architectures, one after the other.

    Args:
        space: the architectures.
        budgets: the budgets of the judge.
        stream: gives the random numbers of each proposal.
    """

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream) -> None:
        self.space, self.budgets, self.stream = space, budgets, stream

    @property
    @abstractmethod
    def total(self) -> int:
        """The most proposals."""

    def ask(self, history: History) -> Proposal | None:
        """The next proposal; None where it depends on a trial that is being judged, or, where none is, at the end.

        Raises:
            UsageError: no architecture of many draws met the requirements.
        """
        return self.following(history, history.asked) if history.asked < self.total else None

    @abstractmethod
    def following(self, history: History, k: int) -> Proposal | None:
        """The proposal that follows ``k`` others; None where there is none yet, or none is left."""

    def proposed(self, candidate: Candidate, *parents: Trial) -> Proposal:
        """A proposal at the stated budget."""
        return Proposal(candidate, self.budgets.stated, tuple(parent.id for parent in parents))

    def _fresh(self, history: History, make: Callable[[], Proposal]) -> Proposal | None:
        """A proposal of an architecture that was not proposed before; None where many are known, or none may be."""
        for _ in range(FRESH):
            try:
                found = make()
            except NoneMeetsError:
                return None
            if (found.candidate.number, found.budget) not in history.proposed:
                return found
        return None

    def candidate(self, trial: Trial) -> Candidate:
        """The architecture of a trial."""
        return self.space.candidate(trial.number)


class OwnProposer(Proposer):
    """The base class of a user's own proposers, which define `following`.

    Args:
        space: the architectures.
        budgets: the budgets of the judge.
        stream: gives the random numbers of each proposal.
        trials: the most proposals.
    """

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, trials: int) -> None:
        super().__init__(space, budgets, stream)
        self.trials = trials

    @property
    def total(self) -> int:
        """The number of trials of the setting `derive`."""
        return self.trials
