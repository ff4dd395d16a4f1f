"""NSGA-II as a proposer: generations of children, of parents that are best in several objectives."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random

from compiler.analysis.requirements.evaluate import Requirements, reported_quantities
from compiler.searcher.settings.exploring import Nsga2, Objective

from .pareto import Point, ranked, surviving
from .proposer import Budgets, Proposal, Proposer, Stream
from .space import ExploredSpace
from .trials import History, Trial, merit_among

REMEMBERED = 100_000
"""How many architectures are remembered with their costs."""


class Objectives:
    """Trials by their objectives, the higher the better: costs with the opposite sign.

    Args:
        space: the architectures.
        word: which objectives.
    """

    def __init__(self, space: ExploredSpace, word: Nsga2) -> None:
        self.space, self.names = space, word.pareto
        self.requirements = Requirements(space.part.space, ())
        self.quantities = {str(item): item for item in reported_quantities(space.part.space)}
        self.cost = lru_cache(REMEMBERED)(self._cost)

    def __call__(self, trial: Trial, merit: Callable[[Trial], float]) -> Point:
        """The objectives of a trial, in the order in which they are named."""
        return tuple(merit(trial) if name.is_judged else -self.cost(name, trial.number) for name in self.names)

    def _cost(self, name: Objective, number: int) -> float:
        """A cost of an architecture; raises UndefinedQuantityError where it has no value."""
        chosen = self.space.completed(self.space.candidate(number))
        return float(self.requirements.amount(self.quantities[name], chosen))


class Generations(Proposer):
    """Children of the best of the parents and the children before them, from a first generation that is drawn."""

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Nsga2) -> None:
        super().__init__(space, budgets, stream)
        self.word, self.objectives = word, Objectives(space, word)
        self.parents: tuple[int, list[Trial], list[tuple[int, float]]] = 0, [], []
        """After so many generations those of the next, with their order."""

    @property
    def total(self) -> int:
        """So many as it is told to."""
        return self.word.trials

    def following(self, history: History, k: int) -> Proposal | None:
        """A draw in the first generation, then a child; a draw where no child is found that is new."""
        generation, source = k // self.word.population, self.stream(k)
        if generation:
            if self.parents[0] != generation and not self._advance(history, generation):
                return None
            found = self._fresh(history, lambda: self._child(source))
            if found is not None:
                return found
        drawn = self._fresh(history, lambda: self.proposed(self.space.drawn(source)))
        return drawn or self.proposed(self.space.drawn(source))

    def _advance(self, history: History, generation: int) -> bool:
        """Find the parents of a generation; whether all trials before it are told."""
        size = self.word.population
        if (before := history.between(0, generation * size)) is None:
            return False
        number, living, _ = self.parents if self.parents[0] < generation else (0, [], [])
        while number < generation:
            children = before[number * size : (number + 1) * size]
            merit = merit_among(before[: (number + 1) * size])
            every = list({trial.number: trial for trial in [*living, *children]}.values())
            points = [self.objectives(trial, merit) for trial in every]
            living = [every[at] for at in surviving(points, size)]
            number += 1
        order = ranked([self.objectives(trial, merit_among(before)) for trial in living])
        self.parents = generation, living, order
        return True

    def _child(self, source: Random) -> Proposal:
        left, right = self._winner(source), self._winner(source)
        crossed = self.space.crossed(self.candidate(left), self.candidate(right), source)
        return self.proposed(self.space.redrawn(crossed, self.word.rate, source), left, right)

    def _winner(self, source: Random) -> Trial:
        """The better of two parents that are drawn; of equal ones the first that was drawn."""
        _, living, order = self.parents
        return living[min((source.randrange(len(living)) for _ in range(2)), key=order.__getitem__)]
