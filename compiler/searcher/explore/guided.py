"""A proposer that learns from the trials which architectures may be good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from random import Random

from compiler.searcher.settings.exploring import Predictor

from .predictor import Features, predicted
from .proposer import Budgets, Proposal, Proposer, Stream
from .space import Candidate, ExploredSpace
from .trials import History, Trial, strongest


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
            self.round = k - place, self._best(before, history.merit, self.stream(k - place))
        best = self.round[1]
        return self.proposed(best[place] if place < len(best) else self.space.drawn(self.stream(k)))

    def _best(self, trials: list[Trial], merit: Callable[[Trial], float], source: Random) -> list[Candidate]:
        """The candidates of a round, in the order of a draw from what the predictor thinks of each."""
        known = merits(trials, merit)
        parents = [self.candidate(trial) for trial in strongest(trials, self.word.batch, merit)]
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


def merits(trials: Sequence[Trial], merit: Callable[[Trial], float]) -> dict[int, float]:
    """How good the architectures of trials are, by number; a failed one is as good as the worst that did not fail."""
    found = {trial.number: merit(trial) for trial in trials}
    worst = min((value for value in found.values() if isfinite(value)), default=0.0)
    return {number: max(value, worst) for number, value in found.items()}
