"""Proposers: which architecture is judged next, as a function of the trials so far and of a stream of random numbers.

A proposer remembers nothing that does not follow from the trials, so that reading them again rebuilds it. Proposal k
draws from stream k alone. To add one, write its class, its word in `settings/exploring.py`, its line in `proposer_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import assert_never

from compiler.searcher.settings.exploring import (
    Evolution,
    Genetic,
    Local,
    Nsga2,
    Predictor,
    RandomDraws,
    Sampled,
    Shipped,
)
from compiler.searcher.settings.rungs import Asynchronous, Brackets, Halving, Rung, Rungs

from .generations import Generations
from .guided import Guided, Measure
from .promotions import Promotions
from .proposer import Budgets, Proposal, Proposer, Stream
from .sampled import Suggestions
from .space import Candidate, ExploredSpace
from .trials import History, Trial, merit_among, strongest


class Draws(Proposer):
    """Architectures that are drawn; of each round the best are proposed again, to be judged with more.

    A round has ``brackets``, and each of these rungs: at first draws, then the best of the rung before.
    """

    def __init__(
        self,
        space: ExploredSpace,
        budgets: Budgets,
        stream: Stream,
        word: RandomDraws,
        brackets: Sequence[Sequence[Rung]],
    ) -> None:
        super().__init__(space, budgets, stream)
        self.rungs = [(at, *rung) for bracket in brackets for at, rung in enumerate(bracket)]
        self.ends = list(accumulate(count for _, _, count in self.rungs))
        self.round = self.ends[-1]
        self.rounds, self.draw = word.rounds, word.draw

    @property
    def total(self) -> int:
        """All rungs of all rounds."""
        return self.rounds * self.round

    def following(self, history: History, k: int) -> Proposal | None:
        """A draw, or one of the best of the rung before."""
        place = k % self.round
        at = next(at for at, end in enumerate(self.ends) if place < end)
        height, budget, count = self.rungs[at]
        start = k - place + self.ends[at] - count
        if not height:
            return Proposal(self.space.drawn(self.stream(k), self.draw), budget)
        if (before := history.between(start - self.rungs[at - 1][2], start)) is None:
            return None
        best = strongest(before, count, merit_among(before))
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
                self.parents = number, strongest(before, word.parents, merit_among(before))
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
        """A draw until the population is there, then a mutant; the oldest is not a parent any more."""
        word = self.word
        source = self.stream(k)
        if k < word.population:
            return self.proposed(self.space.drawn(source, word.draw))
        living = history.trials[-word.population :]
        if not living:
            return None
        entered = (living[source.randrange(len(living))] for _ in range(word.tournament))
        parent = max(entered, key=history.merit)
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


def proposer_of(
    word: Shipped,
    space: ExploredSpace,
    budgets: Budgets,
    stream: Stream,
    rungs: Rungs | None = None,
    measure: Measure | None = None,
) -> Proposer:
    """The proposer that the settings `derive` and `rungs` name; ``measure`` gives a predictor its features."""
    match word:
        case RandomDraws(trials=trials, again=again):
            if isinstance(rungs, Asynchronous):
                return Promotions(space, budgets, stream, word, rungs)
            if isinstance(rungs, Halving | Brackets):
                return Draws(space, budgets, stream, word, rungs.brackets(trials))
            whole = ((budgets.whole, again),) if again else ()
            return Draws(space, budgets, stream, word, [((budgets.stated, trials), *whole)])
        case Genetic():
            return GeneticRounds(space, budgets, stream, word)
        case Evolution():
            return Aging(space, budgets, stream, word)
        case Local():
            return Climbing(space, budgets, stream, word)
        case Predictor():
            return Guided(space, budgets, stream, word, measure)
        case Nsga2():
            return Generations(space, budgets, stream, word)
        case Sampled():
            return Suggestions(space, budgets, stream, word)
        case never:
            assert_never(never)
