"""Rungs: asynchronous halving on arrivals made by hand, brackets by formula; and what is not judged twice."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from compiler.analysis.architectures import Architectures
from compiler.program.equivalence import equivalence
from compiler.program.request import Request
from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.explore.promotions import Promotions
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import Candidate, ExploredSpace
from compiler.searcher.explore.study import DEAD, Study, stream_of
from compiler.searcher.explore.trials import Asked, History, Trial
from compiler.searcher.settings.exploring import RandomDraws
from compiler.searcher.settings.rungs import Asynchronous, Brackets
from tests.analysis.test_architectures import SMALL, net
from tests.searcher.test_explorers import FREE, Table, explore, explored


class Arrivals:
    """Trials that begin and end in the order that a test says; an architecture is as good as it says."""

    def __init__(self, trials: int, rungs: Asynchronous) -> None:
        space = explored(FREE)
        proposer = proposer_of(RandomDraws(trials=trials), space, Budgets(1, 1), stream_of(5), rungs)
        assert isinstance(proposer, Promotions)
        self.proposer, self.history = proposer, History()

    def ask(self) -> tuple[int, int, tuple[int, ...]] | None:
        """The id of the next trial, its budget and its parents."""
        found = self.proposer.ask(self.history)
        if found is None:
            return None
        at = self.history.asked
        asked = Asked(id=at, number=found.candidate.number, budget=found.budget, parents=found.parents)
        self.history.ask(asked)
        return at, found.budget, found.parents

    def tell(self, at: int, score: float, failed: str = "") -> None:
        asked = self.history.running[at]
        self.history.tell(Trial(id=at, number=asked.number, budget=asked.budget, score=score, failed=failed))


def test_who_goes_on_is_decided_by_who_arrived() -> None:
    """By 2, budgets 1, 2, 4: worked out by hand after algorithm 2 of the paper."""
    run = Arrivals(5, Asynchronous(start=1, to=4, by=2))
    assert [run.ask(), run.ask()] == [(0, 1, ()), (1, 1, ())]
    run.tell(1, 0.3)  # One of two has ended: half of one is none.
    assert run.ask() == (2, 1, ())
    run.tell(0, 0.5)  # The better of two goes on.
    assert run.ask() == (3, 2, (0,))
    run.tell(2, 0.9)  # Of three still one may go on: it is 2 now, though 0 did.
    assert run.ask() == (4, 2, (2,))
    run.tell(4, 0.1)
    assert run.ask() == (5, 1, ())
    run.tell(3, 0.2)  # Of rung two the better goes on, before another is drawn.
    assert run.ask() == (6, 4, (3,))
    run.tell(5, 0.0, failed="it diverged")
    assert run.ask() == (7, 1, ())
    assert run.ask() is None  # Five were drawn.
    run.tell(7, 0.4)
    assert run.ask() is None  # Of five two may go on, 2 and 0, and did.
    run.tell(6, 0.8)
    assert run.ask() is None
    assert run.history.best is not None
    assert run.history.best.id == 6


def test_the_highest_rung_comes_first() -> None:
    run = Arrivals(6, Asynchronous(start=1, to=4, by=2))
    assert [run.ask() for _ in range(4)] == [(k, 1, ()) for k in range(4)]
    run.tell(0, 0.1)
    run.tell(1, 0.2)
    assert run.ask() == (4, 2, (1,))
    run.tell(2, 0.3)
    run.tell(3, 0.4)
    assert run.ask() == (5, 2, (3,))
    run.tell(4, 0.2)
    run.tell(5, 0.5)
    assert run.ask() == (6, 4, (5,))  # 2 may go on to the second rung too, and waits.
    assert run.ask() == (7, 2, (2,))


def test_one_worker_goes_on_where_it_was_killed() -> None:
    space, word, rungs = explored(FREE), RandomDraws(trials=12), Asynchronous(start=1, to=9)
    whole = [trial.model_copy(update={"seconds": 0.0}) for trial in explore(space, word, rungs=rungs).trials]
    assert max(trial.budget for trial in whole) == 9
    for cut in (3, 8, len(whole) - 1):
        again = explore(space, word, None, *whole[:cut], rungs=rungs)
        assert [trial.model_copy(update={"seconds": 0.0}) for trial in again.trials] == whole


class Fragile(Table):
    """Two architectures of three cannot be judged."""

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        if found.number % 3:
            raise DivergedError("too fast")
        return super().score(found, budget)


@pytest.mark.parametrize(("text", "judge"), [(FREE, Table), (FREE, Fragile), (SMALL["tied"], Table)])
def test_asynchronous_equals_an_independent_loop(text: str, judge: type[Table]) -> None:
    """Algorithm 2 of the paper, from all trials anew each time: the best 1 in 2 that did not go on yet."""
    space = explored(text)
    trials = explore(space, RandomDraws(trials=24), judge(), rungs=Asynchronous(start=1, to=8, by=2)).trials
    for k, trial in enumerate(trials):
        expected: tuple[int, int, tuple[int, ...]] | None = None
        begun = {(other.number, other.budget) for other in trials[:k]}
        for budget in (4, 2, 1):
            rung = {other.number: other for other in reversed(trials[:k]) if other.budget == budget}
            best = sorted(rung.values(), key=lambda other: (bool(other.failed), -other.score, other.id))
            for other in best[: len(best) // 2]:
                if expected is None and not other.failed and (other.number, 2 * budget) not in begun:
                    expected = other.number, 2 * budget, (other.id,)
        if expected is None:
            expected = space.drawn(stream_of(3)(k)).number, 1, ()
        assert (trial.number, trial.budget, trial.parents) == expected
    assert max(trial.budget for trial in trials) == 8
    assert sum(trial.budget == 1 for trial in trials) == 24


@pytest.mark.parametrize(("start", "by", "rungs"), [(1, 3, 5), (2, 2, 4), (1, 4, 1)])
def test_brackets_are_those_of_hyperband(start: int, by: int, rungs: int) -> None:
    """Algorithm 1: n = ceil((s_max + 1) / (s + 1) by^s), then n_i = floor(n by^-i) with r_i = R by^-s by^i."""
    largest = start * by ** (rungs - 1)
    found = Brackets(start=start, to=largest, by=by).brackets(by ** (rungs - 1))
    s_max = rungs - 1
    for s, bracket in zip(range(s_max, -1, -1), found, strict=True):
        n = math.ceil((s_max + 1) / (s + 1) * by**s)
        expected = [(largest * by**i // by**s, n // by**i) for i in range(s + 1) if n // by**i]
        assert list(bracket) == expected


def test_brackets_judge_the_best_of_their_own_rungs() -> None:
    history = explore(explored(FREE), RandomDraws(trials=9), Table(), rungs=Brackets(start=1, to=9))
    assert [trial.budget for trial in history.trials] == 9 * [1] + 3 * [3] + [9] + 5 * [3] + [9] + 3 * [9]
    for first, count, going in ((0, 9, 3), (9, 3, 1), (13, 5, 1)):
        rung = sorted(history.trials[first : first + count], key=lambda trial: -trial.score)
        onward = history.trials[first + count : first + count + going]
        assert [trial.number for trial in onward] == [trial.number for trial in rung[:going]]


# ---------------------------------------------------------------- what is not judged


ZEROS = net("m = (zero | a | identity)(x)", "output (zero | b | identity)(m)")


def test_an_architecture_without_input_is_not_judged() -> None:
    judge = Table()
    history = explore(explored(ZEROS), RandomDraws(trials=60), judge)
    dead = {trial.number for trial in history.trials if any("zero" in item for item in trial.decisions.values())}
    assert dead
    assert {trial.number for trial in history.trials if trial.failed == DEAD} == dead
    assert not dead & {number for number, _ in judge.asked}
    assert {number for number, _ in judge.asked} | dead == {trial.number for trial in history.trials}


def test_what_is_alike_is_judged_once() -> None:
    """An identity before or behind an operation changes nothing."""
    text = net("m = (a | identity)(x)", "output (a | identity)(m)")
    part = Architectures(Request(Path("space.hsp"), text=text)).parts[0]
    space = ExploredSpace(part, same=equivalence((), "functional"))
    judge = Table()
    proposer = proposer_of(RandomDraws(trials=40), space, judge.budgets, stream_of(3))
    history = Study(space, proposer, judge, lambda trial, history: None).run()
    assert len({trial.number for trial in history.trials}) == 4
    assert len(judge.asked) == 3 == history.judged
    for trial in history.trials:
        if trial.same is not None:
            first = history.trials[trial.same]
            assert space.key(first.number) == space.key(trial.number)
            assert first.score == trial.score
    resumed = Study(space, proposer, judge, lambda trial, history: None).run(history.trials[:20])
    assert max(judge.asked.values()) == 1
    assert len(resumed) == 40
