"""`confirm`: the best architectures are judged again at the end, with other seeds."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.searcher.settings.confirmation import ConfirmBest

from .proposer import Proposal
from .space import ExploredSpace
from .study import AnyProposer
from .trials import History, Trial, finalists, strongest


@dataclass(frozen=True)
class Confirming:
    """Passes a proposer's proposals on; after them, the best are judged again, all of them once before any twice.

    Args:
        proposer: the proposer.
        space: the architectures.
        word: the number of architectures that are judged again, and how often.
    """

    proposer: AnyProposer
    space: ExploredSpace
    word: ConfirmBest

    @property
    def total(self) -> int:
        """The proposer's total, and the most repeats."""
        return self.proposer.total + self.word.count * self.word.seeds

    def ask(self, history: History) -> Proposal | None:
        """The proposer's next proposal; when it has no more, and no trial runs, a repeat of one of the best."""
        done = history.repeated
        if not done and ((found := self.proposer.ask(history)) is not None or history.running):
            return found
        best = self._best(history)
        if done >= len(best) * self.word.seeds:
            return None
        trial = best[done % len(best)]
        return Proposal(self.space.candidate(trial.number), trial.budget, (trial.id,), 1 + done // len(best))

    def _best(self, history: History) -> list[Trial]:
        """The trials that are judged again; of equivalent architectures only the one that was judged."""
        first = [trial for trial in history.trials if not trial.repeat and trial.same is None]
        return strongest(finalists(first), self.word.count, history.merit)
