"""Proposers: which architecture is judged next, as a function of the trials so far and of a stream of random numbers.

A proposer remembers nothing that does not follow from the trials, so that reading them again rebuilds it. Proposal k
draws from stream k alone. To add one, write its class, its word in `settings/exploring.py`, its line in `proposer_of`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never

from compiler.searcher.settings.exploring import (
    Evolution,
    Explorer,
    Genetic,
    Halving,
    Local,
    Predictor,
    RandomDraws,
    Rungs,
)

from .predictor import Features, predicted
from .space import Candidate, ExploredSpace
from .trials import History, Trial, strongest

FRESH = 50
"""How many mutants, or children, may be known already before an architecture is drawn instead."""

Stream = Callable[[int], Random]
"""The random numbers of a proposal, by how many were made before it."""


@dataclass(frozen=True)
class Proposal:
    """An architecture to be judged with a budget: on so many images, or after so many epochs."""

    candidate: Candidate
    budget: int
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Budgets:
    """What a judge spends on an architecture: as it is told to, or all that it has."""

    stated: int
    whole: int


class Proposer(ABC):
    """What is proposed next.

    Args:
        space: the architectures.
        budgets: of the judge.
        stream: where random numbers come from.
    """

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream) -> None:
        self.space, self.budgets, self.stream = space, budgets, stream

    @property
    @abstractmethod
    def total(self) -> int:
        """How many proposals there are at most."""

    def ask(self, history: History) -> Proposal | None:
        """The next proposal; None where it depends on a trial that is being judged, or, where none is, at the end.

        Raises:
            UsageError: none of many architectures meets what is required.
        """
        return self.following(history, history.asked) if history.asked < self.total else None

    @abstractmethod
    def following(self, history: History, k: int) -> Proposal | None:
        """The proposal that follows ``k`` others; None where there is none yet, or none is left."""

    def proposed(self, candidate: Candidate, *parents: Trial) -> Proposal:
        """A proposal at the stated budget."""
        return Proposal(candidate, self.budgets.stated, tuple(parent.id for parent in parents))

    def candidate(self, trial: Trial) -> Candidate:
        """The architecture of a trial."""
        return self.space.candidate(trial.number)


class Draws(Proposer):
    """Architectures drawn uniformly; of each round the best are proposed again, to be judged with more.

    Each of ``rungs`` is a budget, and how many it judges: at first draws, then the best of the rung before.
    """

    def __init__(
        self,
        space: ExploredSpace,
        budgets: Budgets,
        stream: Stream,
        rounds: int,
        rungs: Sequence[tuple[int, int]],
    ) -> None:
        super().__init__(space, budgets, stream)
        self.rounds, self.rungs = rounds, rungs
        self.round = sum(count for _, count in rungs)

    @property
    def total(self) -> int:
        """All rungs of all rounds."""
        return self.rounds * self.round

    def following(self, history: History, k: int) -> Proposal | None:
        """A draw, or one of the best of the rung before."""
        start = k - k % self.round
        rung, end = 0, start + self.rungs[0][1]
        while k >= end:
            rung, start, end = rung + 1, end, end + self.rungs[rung + 1][1]
        budget, count = self.rungs[rung]
        if not rung:
            return Proposal(self.space.drawn(self.stream(k)), budget)
        if (before := history.between(start - self.rungs[rung - 1][1], start)) is None:
            return None
        best = strongest(before, count)
        found = best[min(k - start, len(best) - 1)]
        return Proposal(self.candidate(found), budget, (found.id,))


class GeneticRounds(Proposer):
    """Rounds of mutants and children of the best so far (Guo et al., "Single Path One-Shot", ECCV 2020, algorithm 1).

    What was proposed before is proposed again only where nothing else is found.
    """

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Genetic) -> None:
        super().__init__(space, budgets, stream)
        self.word = word
        self.parents: tuple[int, list[Trial]] = 0, []
        """Those of the last round that was asked for, with its number."""

    @property
    def total(self) -> int:
        """So many rounds of a population each."""
        return self.word.rounds * self.word.population

    def following(self, history: History, k: int) -> Proposal | None:
        """A mutant, a child, or a draw."""
        word = self.word
        number, place = divmod(k, word.population)
        source = self.stream(k)
        if number and place < word.mutants + word.children:
            if self.parents[0] != number:
                if (before := history.between(0, number * word.population)) is None:
                    return None
                self.parents = number, strongest(before, word.parents)
            parents = self.parents[1]
            make = self._mutant if place < word.mutants else self._child
            found = self._fresh(history, lambda: make(parents, source))
            if found is not None:
                return found
        drawn = self._fresh(history, lambda: self.proposed(self.space.drawn(source)))
        return drawn or self.proposed(self.space.drawn(source))

    def _mutant(self, parents: list[Trial], source: Random) -> Proposal:
        parent = source.choice(parents)
        return self.proposed(self.space.redrawn(self.candidate(parent), self.word.rate, source), parent)

    def _child(self, parents: list[Trial], source: Random) -> Proposal:
        left, right = source.choice(parents), source.choice(parents)
        return self.proposed(self.space.crossed(self.candidate(left), self.candidate(right), source), left, right)

    def _fresh(self, history: History, make: Callable[[], Proposal]) -> Proposal | None:
        for _ in range(FRESH):
            found = make()
            if (found.candidate.number, found.budget) not in history.proposed:
                return found
        return None


class Aging(Proposer):
    """Mutants of the best of a tournament among the youngest (Real et al., "Regularized Evolution", AAAI 2019)."""

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Evolution) -> None:
        super().__init__(space, budgets, stream)
        self.word = word

    @property
    def total(self) -> int:
        """So many as it is told to."""
        return self.word.trials

    def following(self, history: History, k: int) -> Proposal | None:
        """A draw until the population is there, then a mutant; the oldest is no parent any more."""
        word = self.word
        source = self.stream(k)
        if k < word.population:
            return self.proposed(self.space.drawn(source))
        living = history.trials[-word.population :]
        if not living:
            return None
        entered = (living[source.randrange(len(living))] for _ in range(word.tournament))
        parent = max(entered, key=lambda trial: trial.score)
        child = self.space.mutated(self.candidate(parent), source)
        return self.proposed(self.space.drawn(source)) if child is None else self.proposed(child, parent)


class Climbing(Proposer):
    """Neighbours of the best so far, until none that was not judged is left."""

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Local) -> None:
        super().__init__(space, budgets, stream)
        self.word = word
        self.around: tuple[int, Iterator[Candidate]] = -1, iter(())
        """The trial whose neighbours are proposed, and those that were not proposed yet."""

    @property
    def total(self) -> int:
        """At most as many as it is told to."""
        return self.word.trials

    def following(self, history: History, k: int) -> Proposal | None:
        """A draw at first, then a neighbour of the best, in the order of the stream that follows its trial."""
        centre = history.best
        if centre is None:
            return None if history.running else self.proposed(self.space.drawn(self.stream(k)))
        if self.around[0] != centre.id:
            self.around = centre.id, self.space.neighbours(self.candidate(centre), self.stream(centre.id + 1))
        for found in self.around[1]:
            if (found.number, self.budgets.stated) not in history.proposed:
                return self.proposed(found, centre)
        return None


class Guided(Proposer):
    """What a predictor that learns from the trials expects to be best (`predictor`)."""

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Predictor) -> None:
        super().__init__(space, budgets, stream)
        self.word = word
        self.features = Features(space.part.space.decisions)
        self.round: tuple[int, list[Candidate]] = 0, []
        """The architectures of the last round that was asked for, after so many trials, the best first."""

    @property
    def total(self) -> int:
        """So many as it is told to."""
        return self.word.trials

    def following(self, history: History, k: int) -> Proposal | None:
        """A draw at first, then the next of those that look best; a draw where all candidates are known."""
        word = self.word
        if k < word.start:
            return self.proposed(self.space.drawn(self.stream(k)))
        place = (k - word.start) % word.batch
        if self.round[0] != k - place:
            if (before := history.between(0, k - place)) is None:
                return None
            self.round = k - place, self._best(before, self.stream(k - place))
        best = self.round[1]
        return self.proposed(best[place] if place < len(best) else self.space.drawn(self.stream(k)))

    def _best(self, trials: list[Trial], source: Random) -> list[Candidate]:
        """The candidates of a round, in the order of a draw from what the predictor thinks of each."""
        known = {trial.number: trial.score for trial in trials}
        parents = [self.candidate(trial) for trial in strongest(trials, self.word.batch)]
        near = (self.space.mutated(source.choice(parents), source) for _ in range(self.word.among))
        drawn = (self.space.drawn(source) for _ in range(self.word.among))
        asked = {found.number: found for found in (*near, *drawn) if found is not None and found.number not in known}
        if not asked:
            return []
        rows = self.features([self.space.candidate(number).choices for number in known])
        others = self.features([found.choices for found in asked.values()])
        means, spreads = predicted(rows, list(known.values()), others, self.word.trees, source.getrandbits(32))
        hopes = [source.gauss(mean, spread) for mean, spread in zip(means, spreads, strict=True)]
        order = sorted(zip(hopes, asked.values(), strict=True), key=lambda pair: (-pair[0], pair[1].number))
        return [found for _, found in order[: self.word.batch]]


def proposer_of(
    word: Explorer, space: ExploredSpace, budgets: Budgets, stream: Stream, rungs: Rungs | None = None
) -> Proposer:
    """The proposer that the settings `derive` and `rungs` name."""
    match word:
        case RandomDraws(trials=trials, again=again, rounds=rounds):
            if isinstance(rungs, Halving):
                return Draws(space, budgets, stream, rounds, rungs.rungs(trials))
            whole = ((budgets.whole, again),) if again else ()
            return Draws(space, budgets, stream, rounds, ((budgets.stated, trials), *whole))
        case Genetic():
            return GeneticRounds(space, budgets, stream, word)
        case Evolution():
            return Aging(space, budgets, stream, word)
        case Local():
            return Climbing(space, budgets, stream, word)
        case Predictor():
            return Guided(space, budgets, stream, word)
        case never:
            assert_never(never)
