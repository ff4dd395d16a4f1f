"""`confirm`: the best are judged anew with other seeds, and the best mean is derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import mean

import pytest

from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.explore.confirming import Confirming
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import Candidate
from compiler.searcher.explore.study import AnyProposer, Judged, Study, Workers, judged, stream_of
from compiler.searcher.explore.trials import Asked, History, Trial
from compiler.searcher.settings.confirmation import ConfirmBest
from compiler.searcher.settings.exploring import RandomDraws, Shipped
from compiler.searcher.settings.rungs import Halving, Rungs
from compiler.util.seeds import mix
from tests.searcher.test_explorers import EXPLORERS, FREE, explored, timeless

SPACE = explored(FREE)
KEPT = {name: word for name, word in EXPLORERS.items() if name != "nsga2"}


@dataclass
class Noisy:
    """Made-up scores: what an architecture is worth, and luck that differs between repeats; ``lost`` ones diverge."""

    budgets: Budgets = field(default_factory=lambda: Budgets(1, 1))
    lost: frozenset[tuple[int, int]] = frozenset()

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        if (found.number, repeat) in self.lost:
            raise DivergedError("lost")
        return Random(mix(found.number)).random() + Random(mix(found.number, budget, repeat)).random()


def confirming(word: Shipped, count: int, seeds: int, judge: Noisy, rungs: Rungs | None = None) -> AnyProposer:
    made = proposer_of(word, SPACE, judge.budgets, stream_of(3), rungs)
    return Confirming(made, SPACE, ConfirmBest(count=count, seeds=seeds))


def confirmed(
    word: Shipped,
    count: int = 3,
    seeds: int = 2,
    judge: Noisy | None = None,
    known: Sequence[Trial] = (),
    rungs: Rungs | None = None,
) -> History:
    judge = judge or Noisy()
    return Study(SPACE, confirming(word, count, seeds, judge, rungs), judge, lambda trial, history: None).run(known)


@pytest.mark.parametrize("word", KEPT.values(), ids=KEPT)
def test_the_best_are_judged_anew_in_turn_and_the_best_mean_is_derived(word: Shipped) -> None:
    found = confirmed(word)
    plain = Study(
        SPACE, proposer_of(word, SPACE, Budgets(1, 1), stream_of(3)), Noisy(), lambda trial, history: None
    ).run()
    before, after = found.trials[: len(plain)], found.trials[len(plain) :]
    assert timeless(plain) == [trial.model_copy(update={"seconds": 0.0}) for trial in before]
    scores = {trial.number: trial.score for trial in reversed(before)}
    best = sorted(scores, key=lambda number: -scores[number])[:3]
    assert [(trial.number, trial.repeat) for trial in after] == [(number, k) for k in (1, 2) for number in best]
    means = {n: mean([scores[n], *(trial.score for trial in after if trial.number == n)]) for n in best}
    chosen = max(best, key=lambda number: means[number])
    assert found.best is not None
    assert found.second is not None
    assert found.best.number == chosen
    assert found.best.score == pytest.approx(means[chosen])
    assert not found.best.repeat
    assert found.second.score == pytest.approx(sorted(means.values())[-2])


@pytest.mark.parametrize("word", KEPT.values(), ids=KEPT)
def test_trials_that_are_read_again_go_on_as_they_would_have(word: Shipped) -> None:
    whole = confirmed(word)
    for kept in range(len(whole) - 7, len(whole)):
        assert timeless(confirmed(word, known=whole.trials[:kept])) == timeless(whole)


def test_one_that_diverges_when_it_is_judged_anew_is_not_derived() -> None:
    word = RandomDraws(trials=6)
    best = confirmed(word).best
    assert best is not None
    other = confirmed(word, judge=Noisy(lost=frozenset({(best.number, 2)})))
    assert any(trial.failed and trial.repeat == 2 for trial in other.trials)
    assert other.best is not None
    assert other.best.number != best.number


def test_where_all_fail_nothing_is_judged_anew() -> None:
    every = frozenset((number, 0) for number in range(SPACE.count))
    found = confirmed(RandomDraws(trials=4), judge=Noisy(lost=every))
    assert len(found) == 4
    assert found.best is not None


def test_only_the_highest_rung_is_confirmed() -> None:
    found = confirmed(RandomDraws(trials=9), judge=Noisy(Budgets(1, 9)), rungs=Halving(start=1, to=9))
    again = [trial for trial in found.trials if trial.repeat]
    assert {trial.budget for trial in again} == {9}
    assert len(again) == 2  # One architecture is on that rung.


class Several(Workers):
    """Three at once, of which the last that began ends first."""

    count = 3

    def __init__(self, judge: Noisy) -> None:
        self.judge, self.begun = judge, list[Asked]()

    def start(self, asked: Asked) -> None:
        self.begun.append(asked)

    def wait(self) -> Judged:
        return judged(self.judge, SPACE, self.begun.pop())


def test_several_at_once_wait_for_the_explorer_and_find_the_same() -> None:
    word, judge = RandomDraws(trials=10), Noisy()
    study = Study(SPACE, confirming(word, 3, 2, judge), judge, lambda trial, history: None, workers=Several(judge))
    several, one = study.run(), confirmed(word)
    firsts = [trial for trial in several.trials if not trial.repeat]
    assert firsts == several.trials[: len(firsts)]
    assert {(t.number, t.repeat, t.score) for t in several.trials} == {
        (t.number, t.repeat, t.score) for t in one.trials
    }
    assert several.best is not None
    assert one.best is not None
    assert several.best.number == one.best.number
