"""Optuna's samplers as a proposer (extra `optuna`).

A sampler learns from a study in memory, which holds our trials as they were told. It suggests an item for each decision
in turn, those that exist by what was decided before; what the space does not allow stays as it was drawn.
Nothing of the study is kept: reading the trials again makes the same one.
"""

from __future__ import annotations

from random import Random
from typing import Any, assert_never

from compiler.ir.decision import Decision, DecisionKind, selections
from compiler.searcher.settings.exploring import OptunaSampler, Sampled

from .proposer import Budgets, Proposal, Proposer, Stream
from .space import Candidate, ExploredSpace
from .trials import History

MOST = 1_000
"""A decision that may be taken in more ways than this is drawn, and no sampler is asked."""


class Suggestions(Proposer):
    """What a sampler of Optuna suggests.

    Each proposal makes two trials of Optuna: one is asked for suggestions, and dropped as failed; the other has the
    architecture that came of them. So the second can be made again without asking, and the study comes out the same.
    """

    def __init__(self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Sampled) -> None:
        super().__init__(space, budgets, stream)
        self.word = word
        self.ways = {path: _ways(decision) for path, decision in space.part.space.decisions.items()}
        self._begin()

    @property
    def total(self) -> int:
        """So many as it is told to."""
        return self.word.trials

    def following(self, history: History, k: int) -> Proposal:
        """What the sampler suggests after the trials that are told."""
        if k < len(self.made):
            self._begin()
        for earlier in range(len(self.made), k):
            self._tell(history, history.seen[earlier])
            self._drop(self._asked(earlier))
            self._make(earlier, self.space.candidate(history.number(earlier)))
        self._tell(history, len(history.trials))
        asked = self._asked(k)
        found = self._walked(asked, self.stream(k))
        self._drop(asked)
        self._make(k, found)
        return self.proposed(found)

    # ------------------------------------------------------------ the study

    def _begin(self) -> None:
        """A study that has no trial."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study: Any = optuna.create_study(direction="maximize")
        self.made: list[int] = []
        """The number in the study of each of our trials, by its id."""
        self.told = 0
        """Of how many of our trials the study knows the scores."""

    def _tell(self, history: History, count: int) -> None:
        """Let the study know the scores of the first so many trials that ended."""
        from optuna.trial import TrialState

        for trial in history.trials[self.told : count]:
            value, state = (None, TrialState.FAIL) if trial.failed else (trial.score, TrialState.COMPLETE)
            self.study.tell(self.made[trial.id], value, state)
            self.told += 1

    def _asked(self, k: int) -> Any:
        """A new trial of Optuna, whose sampler has the random numbers of proposal ``k``."""
        self.study.sampler = _sampler(self.word.sampler, self.stream(k).getrandbits(31))
        return self.study.ask()

    def _drop(self, asked: Any) -> None:
        from optuna.trial import TrialState

        self.study.tell(asked.number, state=TrialState.FAIL)

    def _make(self, k: int, found: Candidate) -> None:
        """A trial of Optuna that has an architecture, and what the sampler notes beside."""
        ways = {path: self.ways[path] for path in found.choices if self.ways[path]}
        self.study.enqueue_trial({path: items.index(found.choices[path]) for path, items in ways.items()})
        made = self._asked(k)
        _ = made.relative_params
        for path in found.choices:
            self._suggested(made, path)
        self.made.append(made.number)

    # ------------------------------------------------------------ an architecture

    def _walked(self, asked: Any, source: Random) -> Candidate:
        """An architecture that follows the suggestions as far as the space allows, from one that is drawn."""
        found, decided = self.space.drawn(source), set[str]()
        while (path := next((path for path in found.choices if path not in decided), None)) is not None:
            decided.add(path)
            items = self._suggested(asked, path)
            if items is not None and items != found.choices[path]:
                found = self.space.decided(found, path, items, source) or found
        return found

    def _suggested(self, asked: Any, path: str) -> tuple[int, ...] | None:
        """The items that a trial of Optuna has, or takes, for a decision; None where it may be too many."""
        ways = self.ways[path]
        if not ways:
            return None
        if self.space.part.space.decisions[path].numbers:
            place = asked.suggest_int(path, 0, len(ways) - 1)
        else:
            place = asked.suggest_categorical(path, range(len(ways)))
        return ways[int(place)]


def _ways(decision: Decision) -> list[tuple[int, ...]]:
    """What a decision may be, numbers in ascending order; nothing where that is too much."""
    if decision.kind is DecisionKind.PICK:
        found: list[tuple[int, ...]] = []
        for items in selections(decision):
            found.append(items)
            if len(found) > MOST:
                return []
        return found
    derivable = decision.derivable_items
    if decision.numbers:
        return [(item,) for item in sorted(derivable, key=lambda item: decision.numbers[item])]
    return [(item,) for item in derivable]


def _sampler(name: OptunaSampler, seed: int) -> Any:
    """The sampler of a name, with Optuna's own defaults."""
    from optuna import samplers

    match name:
        case OptunaSampler.TPE:
            return samplers.TPESampler(seed=seed)
        case OptunaSampler.NSGA2:
            return samplers.NSGAIISampler(seed=seed)
        case OptunaSampler.CMAES:
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case never:
            assert_never(never)
