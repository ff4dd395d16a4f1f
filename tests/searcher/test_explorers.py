"""Laws of explorers: what is proposed is a function of the trials, lies in the space, and equals independent loops."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given

from compiler.analysis.architectures import Architectures
from compiler.ir.combinatorics.circuit import rank_of, way
from compiler.ir.decision import Selection
from compiler.program.request import Request
from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.explore import guided
from compiler.searcher.explore import space as space_module
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import Candidate, ExploredSpace
from compiler.searcher.explore.study import Judge, Study, Verdict, stream_of
from compiler.searcher.explore.trial_log import TrialLog
from compiler.searcher.explore.trials import History, Trial
from compiler.searcher.settings.exploring import (
    Acquisition,
    Draw,
    Evolution,
    Genetic,
    InitialSpread,
    Local,
    Nsga2,
    Predictor,
    RandomDraws,
    Shipped,
)
from compiler.searcher.settings.rungs import Halving, Rungs
from compiler.util.errors import UsageError
from compiler.util.seeds import mix
from tests.analysis.test_architectures import SMALL, is_uniform, net, quick
from tests.support.random_spaces import Plan, plans

FREE = net(*(f"n{i} = (a | b | C | identity)({'x' if not i else f'n{i - 1}'})" for i in range(4)), "output n3")
"""Four choices of four items (one of them has a choice inside), of which none depends on another."""

EXPLORERS: dict[str, Shipped] = {
    "random": RandomDraws(trials=7, again=2, rounds=2),
    "genetic": Genetic(rounds=4, population=6, parents=3, mutants=2, children=2, rate=0.5),
    "evolution": Evolution(trials=25, population=5, tournament=3),
    "local": Local(trials=40),
    "predictor": Predictor(trials=16, start=6, batch=4, trees=5),
    "thompson": Predictor(trials=20, start=6, batch=4, among=10, trees=5, acquisition=Acquisition.THOMPSON),
    "spread": Predictor(trials=12, start=6, batch=4, among=10, trees=5, initial=InitialSpread()),
    "nsga2": Nsga2(trials=20, population=5),
}


@dataclass
class Table:
    """A judge of made-up scores, which counts how often it is asked."""

    seed: int = 0
    budgets: Budgets = field(default_factory=lambda: Budgets(1, 1))
    asked: Counter[tuple[int, int]] = field(default_factory=Counter)

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        self.asked[found.number, budget] += 1
        return Random(mix(self.seed, found.number, budget)).random()


def explored(text: str) -> ExploredSpace:
    return ExploredSpace(Architectures(Request(Path("space.hsp"), text=text)).parts[0])


def explore(
    space: ExploredSpace, word: Shipped, judge: Judge | None = None, *known: Trial, rungs: Rungs | None = None
) -> History:
    judge = judge or Table()
    proposer = proposer_of(word, space, judge.budgets, stream_of(3), rungs)
    return Study(space, proposer, judge, lambda trial, history: None).run(known)


def timeless(history: History) -> list[Trial]:
    return [trial.model_copy(update={"seconds": 0.0}) for trial in history.trials]


# ---------------------------------------------------------------- numbers


@given(plans())
@quick(max_examples=20)
def test_the_rank_of_a_way_is_its_number(plan: Plan) -> None:
    circuit = Architectures(Request(Path("space.hsp"), text=plan.text)).parts[0].circuit
    assume(1 < circuit.number <= 100)
    for rank in range(circuit.number):
        found = way(circuit, rank)
        assert rank_of(circuit, found) == rank
    with pytest.raises(ValueError, match="no way"):
        rank_of(circuit, {**found, "not.there": (0,)})


# ---------------------------------------------------------------- every explorer


@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
@pytest.mark.parametrize("name", SMALL)
def test_what_is_proposed_is_an_architecture_that_is_required(name: str, word: Shipped) -> None:
    """Ties, choices under conditions, picks, structure and costs: a proposal is one of the listed architectures."""
    space = explored(SMALL[name])
    part = space.part
    history = explore(space, word)
    assert len(history) > 1
    for trial in history.trials:
        found = space.candidate(trial.number)
        assert part.uncounted.met(part.completed(found.choices))
        assert trial.decisions.keys() == found.choices.keys()


@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
def test_a_budget_that_one_architecture_meets_ends_no_exploration(word: Shipped) -> None:
    """One of 1,024 meets it: a draw in which many miss it is not a proof that none does."""
    space = wired(5, "require params <= 80")
    assert (space.count, len(space.listed or ())) == (1024, 1)
    assert {trial.number for trial in explore(space, word).trials} == {0}


def wired(nodes: int, *required: str) -> ExploredSpace:
    """One choice of a convolution after the other: 16, 144, 400 or 784 parameters."""
    lines = (f"n{i} = (conv(1) | conv(3) | conv(5) | conv(7))({'x' if not i else f'n{i - 1}'})" for i in range(nodes))
    return explored(net(*lines, *required, f"output n{nodes - 1}"))


@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
def test_a_tight_budget_ends_no_exploration_of_a_space_that_is_too_large_to_list(word: Shipped) -> None:
    """Of 65,536 architectures 9 meet it: 300 draws in a row missed it, and the exploration ended without a result."""
    space = wired(8, "require params <= 8 * 16 + 128")
    assert (space.count, space.listed) == (65_536, None)
    history = explore(space, word)
    assert all(space.meets(trial.number) for trial in history.trials)
    assert len({trial.number for trial in history.trials}) >= 3


@pytest.mark.parametrize("mended", [0, 8], ids=["solved", "mended"])
@pytest.mark.parametrize("draw", Draw)
def test_draws_within_a_tight_budget(draw: Draw, mended: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 28 with two convolutions of 3x3 among those of 1x1 are found, and equal seeds draw equal ones."""
    monkeypatch.setattr(space_module, "MENDED", mended)
    space = wired(8, "require params >= 8 * 16 + 256 and params <= 8 * 16 + 256")
    found = [space.drawn(Random(seed), draw) for seed in range(150)]
    assert space.scarce(draw)
    assert all(space.meets(each.number) for each in found)
    assert len({each.number for each in found}) >= 26
    again = wired(8, "require params >= 8 * 16 + 256 and params <= 8 * 16 + 256")
    assert [again.drawn(Random(seed), draw).number for seed in range(149, 139, -1)] == [
        each.number for each in reversed(found[140:])
    ]


def test_a_budget_that_none_meets_says_how_near_they_come() -> None:
    with pytest.raises(UsageError) as error:
        wired(8, "require params <= 100").drawn(Random(0))
    assert "changes of one choice after the other end 28.0% away" in str(error.value)
    assert "no architecture of 'N' has `params` at most 100: at least it is 128" in str(error.value)


class Votes(Judge):
    """A judge of which three proxies vote, so that every trial moves the ranks of all."""

    budgets = Budgets(1, 1)

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> Verdict:
        return Verdict(votes={name: Random(mix(name, found.number)).random() for name in "abc"})


@pytest.mark.parametrize("judge", [Table, Votes])
@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
def test_trials_that_are_read_again_rebuild_the_proposer(
    word: Shipped, judge: type[Judge], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guided, "LATER", 1)  # So that a forest serves two of these few rounds.
    space = explored(FREE)
    whole = timeless(explore(space, word, judge()))
    for cut in range(len(whole)):
        assert timeless(explore(space, word, judge(), *whole[:cut])) == whole


@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
def test_equal_architectures_are_judged_once(word: Shipped) -> None:
    judge = Table(budgets=Budgets(1, 2))
    history = explore(explored(SMALL["tied"]), word, judge)
    assert max(judge.asked.values()) == 1
    assert len(judge.asked) == history.judged
    for trial in history.trials:
        first = history.trials[trial.id if trial.same is None else trial.same]
        assert (first.number, first.budget, first.score) == (trial.number, trial.budget, trial.score)


# ---------------------------------------------------------------- random


@pytest.mark.parametrize("name", SMALL)
def test_random_is_uniform(name: str) -> None:
    space = explored(SMALL[name])
    meeting = [number for number in range(space.count) if space.meets(number)]
    history = explore(space, RandomDraws(trials=40 * len(meeting)))
    assert is_uniform(Counter(trial.number for trial in history.trials), len(meeting))


def test_the_best_of_each_round_are_judged_on_everything() -> None:
    judge = Table(budgets=Budgets(10, 80))
    history = explore(explored(FREE), RandomDraws(trials=20, again=3, rounds=2), judge)
    assert [trial.budget for trial in history.trials] == 2 * (20 * [10] + 3 * [80])
    for first in (0, 23):
        drawn = {trial.number: trial.score for trial in history.trials[first : first + 20]}
        best = sorted(drawn, key=lambda number: -drawn[number])[:3]
        assert [trial.number for trial in history.trials[first + 20 : first + 23]] == best
    whole = [trial for trial in history.trials if trial.budget == 80]
    assert history.best == max(whole, key=lambda trial: trial.score)


def test_halving_by_formula() -> None:
    word = Halving(start=2, to=20, by=3)
    assert Halving(start=1, to=81).halved(81) == ((1, 81), (3, 27), (9, 9), (27, 3), (81, 1))
    assert word.halved(20) == ((2, 20), (6, 6), (18, 2))
    assert Halving(start=1, to=1000, by=2).halved(5) == ((1, 5), (2, 2), (4, 1))
    history = explore(explored(FREE), RandomDraws(trials=20, rounds=2), None, rungs=word)
    assert [trial.budget for trial in history.trials] == 2 * (20 * [2] + 6 * [6] + 2 * [18])
    for first in (0, 28):
        rung = history.trials[first : first + 20]
        for size, start in ((6, 20), (2, 26)):
            best = {trial.number: trial.score for trial in reversed(rung)}
            rung = history.trials[first + start : first + start + size]
            assert [trial.number for trial in rung] == sorted(best, key=lambda n: -best[n])[:size]
    assert history.best == max((t for t in history.trials if t.budget == 18), key=lambda trial: trial.score)


def test_an_architecture_that_cannot_be_judged_is_the_worst() -> None:
    class Fragile(Table):
        def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
            if found.number % 2:
                raise DivergedError("too fast")
            return super().score(found, budget)

    history = explore(explored(FREE), Evolution(trials=30, population=4, tournament=2), Fragile())
    assert {(t.number % 2, t.failed, t.score == 0) for t in history.trials} == {(0, "", False), (1, "too fast", True)}
    assert history.best is not None
    assert history.best.number % 2 == 0
    history.tell(Trial(id=30, number=1, budget=9, score=0.0, failed="too fast"))
    assert not history.best.failed, "one of a smaller budget is better than one that failed"


# ---------------------------------------------------------------- evolution, on one stream


def evolution(space: ExploredSpace, judge: Table, trials: int, population: int, tournament: int) -> list[int]:
    """Regularized evolution as Real et al. write it: a queue whose oldest leaves; the numbers that were judged."""
    queue: list[tuple[Candidate, float]] = []
    judged = []
    for k in range(trials):
        source = Random(mix(3, "ask", k))
        if len(queue) < population:
            child: Candidate | None = space.drawn(source)
        else:
            sample = [queue[source.randrange(population)] for _ in range(tournament)]
            child = space.mutated(max(sample, key=lambda one: one[1])[0], source)
            queue.pop(0)
        assert child is not None
        queue.append((child, judge.score(child, 1)))
        judged.append(child.number)
    return judged


@pytest.mark.parametrize(("population", "tournament"), [(1, 1), (6, 1), (6, 4), (6, 12)])
def test_evolution_equals_a_queue(population: int, tournament: int) -> None:
    space = explored(FREE)
    history = explore(space, Evolution(trials=40, population=population, tournament=tournament))
    assert [trial.number for trial in history.trials] == evolution(space, Table(), 40, population, tournament)
    mutants = [trial for trial in history.trials if trial.parents]
    assert len(mutants) == 40 - population
    assert all(trial.id - population <= trial.parents[0] for trial in mutants)  # the oldest died


def test_a_population_of_one_walks() -> None:
    space = explored(net(*(f"n{i} = (a | b)({'x' if not i else f'n{i - 1}'})" for i in range(5)), "output n4"))
    trials = explore(space, Evolution(trials=30, population=1, tournament=1)).trials
    for before, after in itertools.pairwise(trials):
        assert after.parents == (before.id,)
        assert sum(before.decisions[path] != after.decisions[path] for path in before.decisions) == 1


# ---------------------------------------------------------------- local


PLAIN = net(*(f"n{i} = (a | b | identity)({'x' if not i else f'n{i - 1}'})" for i in range(4)), "output n3")


def test_local_ends_where_no_neighbour_is_better() -> None:
    """81 architectures, of which neighbours are found by comparing all."""
    space = explored(PLAIN)
    every = {number: space.candidate(number).choices for number in range(space.count)}
    for seed in range(40):
        check_end(space, every, seed)


def check_end(space: ExploredSpace, every: dict[int, Selection], seed: int) -> None:
    judge = Table(seed)
    history = explore(space, Local(trials=200), judge)
    assert history.best is not None
    end = every[history.best.number]
    near = [n for n, made in every.items() if sum(made[path] != end[path] for path in end) == 1]
    assert len(near) == 8
    assert all(Random(mix(seed, number, 1)).random() < history.best.score for number in near)
    assert max(judge.asked.values()) == 1
    for trial in history.trials[1:]:
        parent = every[history.trials[trial.parents[0]].number]
        assert sum(every[trial.number][path] != parent[path] for path in parent) == 1


# ---------------------------------------------------------------- genetic, on one stream


def genetic(space: ExploredSpace, judge: Table, word: Genetic) -> list[int]:
    """The algorithm of SPOS, with a set of what was seen; the numbers that were judged."""
    seen: dict[int, float] = {}
    judged: list[int] = []

    def unseen(source: Random, make: Any) -> Candidate | None:
        for _ in range(50):
            found: Candidate = make(source)
            if found.number not in seen:
                return found
        return None

    for number in range(word.rounds):
        top = [space.candidate(n) for n in sorted(seen, key=lambda n: -seen[n])[: word.parents]]

        def mutant(source: Random, *, top: list[Candidate] = top) -> Candidate:
            return space.redrawn(source.choice(top), word.rate, source)

        def child(source: Random, *, top: list[Candidate] = top) -> Candidate:
            return space.crossed(source.choice(top), source.choice(top), source)

        makers: Sequence[Callable[[Random], Candidate]] = [mutant] * word.mutants + [child] * word.children
        makers = (
            [*makers, *[space.drawn] * (word.population - len(makers))] if number else [space.drawn] * word.population
        )
        fresh: dict[int, float] = {}
        for maker in makers:
            source = Random(mix(3, "ask", len(judged)))
            found = unseen(source, maker) or unseen(source, space.drawn)
            assert found is not None
            seen[found.number] = fresh[found.number] = judge.score(found, 1)
            judged.append(found.number)
    return judged


def test_genetic_equals_rounds() -> None:
    word, space = Genetic(rounds=5, population=12, parents=4, mutants=5, children=4, rate=0.3), explored(FREE)
    history = explore(space, word)
    assert [trial.number for trial in history.trials] == genetic(space, Table(), word)
    assert max(Counter(trial.number for trial in history.trials).values()) == 1
    for trial in history.trials:
        place = trial.id % 12 if trial.id >= 12 else 11
        assert len(trial.parents) in (
            0,
            1 if place < 5 else 2 if place < 9 else 0,
        )  # where no child is new, it is drawn


def test_a_mutant_redraws_each_choice_with_the_rate() -> None:
    space = explored(PLAIN)
    parent, source = space.candidate(0), Random(0)
    assert space.redrawn(parent, 0.0, source) == parent
    drawn = Counter(space.redrawn(parent, 1.0, source).number for _ in range(40 * space.count))
    assert is_uniform(drawn, space.count)


# ---------------------------------------------------------------- the file of trials


def test_a_file_of_trials_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    history = explore(explored(FREE), EXPLORERS["random"])
    log = TrialLog(path, "run")
    assert log.start(resume=False) == []
    for trial in history.trials:
        log.append(trial)
    assert TrialLog(path, "run").start(resume=True) == history.trials
    written = path.read_bytes()
    path.write_bytes(written[:-7])
    assert TrialLog(path, "run").start(resume=True) == history.trials[:-1]
    assert path.read_bytes() == written[: written[:-1].rindex(b"\n") + 1]
    with pytest.raises(UsageError, match="another run"):
        TrialLog(path, "other").start(resume=True)
    path.write_bytes(written.replace(b'"score":', b'"score":"x', 1))
    with pytest.raises(UsageError, match="is damaged"):
        TrialLog(path, "run").start(resume=True)
    path.write_bytes(b"".join(written.splitlines(keepends=True)[:1] + written.splitlines(keepends=True)[2:]))
    with pytest.raises(UsageError, match="another run"):
        TrialLog(path, "run").start(resume=True)
    assert TrialLog(path, "run").start(resume=False) == []


def test_what_cannot_be_explored() -> None:
    with pytest.raises(UsageError, match="nothing to choose"):
        explored(net("output a(x)"))
    never = SMALL["costs"].replace("params <= 200", "params <= 1")
    with pytest.raises(UsageError, match=r"of all [0-9]+ .* none meets `require params <= 1`"):
        explore(explored(never), EXPLORERS["random"])
