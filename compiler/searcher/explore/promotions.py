"""Asynchronous halving as a proposer: who goes on is decided with every trial that ends."""

from __future__ import annotations

from bisect import insort

from compiler.searcher.settings.exploring import RandomDraws
from compiler.searcher.settings.rungs import Asynchronous

from .proposer import Budgets, Proposal, Proposer, Stream
from .space import ExploredSpace
from .trials import History, Trial


class Promotions(Proposer):
    """Draws on the lowest rung; before each, whoever may go on from the highest rung does (ASHA).

    Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), algorithm 2.
    """

    def __init__(
        self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: RandomDraws, rungs: Asynchronous
    ) -> None:
        super().__init__(space, budgets, stream)
        self.trials, self.by, self.levels = word.rounds * word.trials, rungs.by, rungs.budgets
        self.draw = word.draw
        self.rungs: dict[int, list[tuple[float, int, Trial]]] = {budget: [] for budget in self.levels}
        """The trials of each budget that were told so far, once each architecture, the best first."""
        self.drawn, self.seen = 0, 0
        """How many draws were told, and how many trials."""

    @property
    def total(self) -> int:
        """At most all of them on all rungs."""
        return self.trials * len(self.levels)

    def following(self, history: History, k: int) -> Proposal | None:
        """The best that may go on, from the highest rung that has one; otherwise a draw, as long as there are any."""
        self._read(history)
        for budget, higher in reversed(list(zip(self.levels, self.levels[1:], strict=False))):
            rung = self.rungs[budget]
            for _, _, trial in rung[: len(rung) // self.by]:
                if not trial.failed and (trial.number, higher) not in history.proposed:
                    return Proposal(self.candidate(trial), higher, (trial.id,))
        lowest = self.levels[0]
        drawn = self.drawn + sum(asked.budget == lowest for asked in history.running.values())
        return Proposal(self.space.drawn(self.stream(k), self.draw), lowest) if drawn < self.trials else None

    def _read(self, history: History) -> None:
        for trial in history.trials[self.seen :]:
            self.drawn += trial.budget == self.levels[0]
            if history.known[trial.number, trial.budget] is trial:
                insort(self.rungs[trial.budget], (-trial.score, trial.id, trial))
        self.seen = len(history.trials)
