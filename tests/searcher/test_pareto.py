"""Several objectives: fronts and crowding against brute force, and NSGA-II on made-up tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.searcher.explore.generations import Objectives
from compiler.searcher.explore.pareto import Point, crowding, dominates, front, fronts, ranked, surviving
from compiler.searcher.explore.space import Candidate
from compiler.searcher.explore.study import stream_of
from compiler.searcher.explore.trials import Trial
from compiler.searcher.settings.exploring import Nsga2, Objective
from tests.analysis.test_architectures import net
from tests.searcher.test_explorers import FREE, Table, explore, explored

POINTS = st.integers(2, 3).flatmap(
    lambda size: st.lists(st.tuples(*[st.integers(0, 4).map(float)] * size), min_size=1, max_size=12)
)

FEWER = net(*(f"n{i} = (a | b | C | identity)({'x' if not i else f'n{i - 1}'})" for i in range(3)), "output n2")


def is_below(left: Point, right: Point) -> bool:
    """Whether the right one is at least as good in everything, and better in something."""
    pairs = list(zip(left, right, strict=True))
    return all(b >= a for a, b in pairs) and any(b > a for a, b in pairs)


@given(POINTS)
def test_fronts_are_peeled_off(points: list[Point]) -> None:
    left, found = set(range(len(points))), []
    while left:
        best = {at for at in left if not any(is_below(points[at], points[other]) for other in left)}
        found.append(sorted(best))
        left -= best
    assert fronts(points) == found
    assert all(dominates(b, a) == is_below(a, b) for a in points for b in points)


@given(POINTS)
def test_the_front_has_each_point_once(points: list[Point]) -> None:
    best = {point for point in points if not any(is_below(point, other) for other in points)}
    found = front(points)
    assert {points[at] for at in found} == best
    assert len(found) == len(best)
    assert all(points.index(points[at]) == at for at in found)
    assert [points[at] for at in found] == sorted(best, reverse=True)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=10, unique=True))
def test_crowding_is_the_box_between_neighbours(points: list[Point]) -> None:
    """In each objective the distance of the next points to either side, as a share of the extent; ends are infinite."""
    found = crowding(points)
    for at, point in enumerate(points):
        expected = 0.0
        for axis in (0, 1):
            values = [other[axis] for other in points]
            if len(set(values)) < len(values):
                return  # Ties may be ordered either way.
            if point[axis] in (min(values), max(values)):
                expected = math.inf
                continue
            above = min(value for value in values if value > point[axis])
            below = max(value for value in values if value < point[axis])
            expected += (above - below) / (max(values) - min(values))
        assert found[at] == pytest.approx(expected)


@given(POINTS, st.integers(1, 12))
def test_survivors_are_of_the_first_fronts(points: list[Point], count: int) -> None:
    kept = surviving(points, count)
    assert len(kept) == min(count, len(points))
    order = ranked(points)
    left = [at for at in range(len(points)) if at not in kept]
    assert all(order[a] <= order[b] for a in kept for b in left)


def test_a_full_budget_finds_the_true_front() -> None:
    """All architectures of a space are proposed before any twice, so that the front of the trials is that of all."""
    space = explored(FEWER)
    judge = Table()
    word = Nsga2(trials=3 * space.count, population=10)
    history = explore(space, word, judge)
    objectives = Objectives(space, word)
    assert len(history.known) == space.count
    truth = [(judge.score(space.candidate(n), 1), -objectives.cost(Objective.MACS, n)) for n in range(space.count)]
    tried = [objectives(trial, history.merit) for trial in history.trials]
    assert [tried[at] for at in front(tried)] == [truth[at] for at in front(truth)]


class Sum(Table):
    """Judges by a sum over choices."""

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        return sum((at + 1) * items[0] % 3 for at, items in enumerate(found.choices.values()))


def test_generations_come_nearer_to_the_front_than_draws() -> None:
    """Where both objectives are sums over choices: later trials dominate the first ones more often than otherwise."""
    space = explored(FREE)
    word = Nsga2(trials=60, population=12, rate=0.2)
    objectives = Objectives(space, word)

    history = explore(space, word, Sum())
    second = [objectives(trial, history.merit) for trial in history.trials[24:]]
    first = [objectives(trial, history.merit) for trial in history.trials[:12]]
    assert sum(dominates(b, a) for a in first for b in second) > 2 * sum(dominates(a, b) for a in first for b in second)


def placed(points: list[Point]) -> list[tuple[int, float]]:
    """The front and less the crowding distance of each point, peeled off and measured one by one."""
    left, found = set(range(len(points))), dict[int, tuple[int, float]]()
    for rank in range(len(points)):
        best = sorted(at for at in left if not any(is_below(points[at], points[other]) for other in left))
        away = dict.fromkeys(best, 0.0)
        for axis in range(len(points[0])):
            line = sorted(best, key=lambda at: points[at][axis])
            extent = points[line[-1]][axis] - points[line[0]][axis] if line else 0
            for place, at in enumerate(line):
                if place in (0, len(line) - 1):
                    away[at] = math.inf
                elif extent:
                    away[at] += (points[line[place + 1]][axis] - points[line[place - 1]][axis]) / extent
        found |= {at: (rank, -away[at]) for at in best}
        left -= set(best)
    return [found[at] for at in range(len(points))]


def test_generations_equal_an_independent_loop() -> None:
    """Children of the winners of two tournaments, among the best of the parents and children before."""
    space, size, rate = explored(FREE), 8, 0.2
    word = Nsga2(trials=6 * size, population=size, rate=rate)
    history, objectives = explore(space, word, Sum()), Objectives(space, word)
    living: list[Trial] = []
    known = {trial.number for trial in history.trials[:size]}
    for start in range(0, 5 * size, size):
        every = [*living, *history.trials[start : start + size]]
        places = placed([objectives(trial, history.merit) for trial in every])
        living = [every[at] for at in sorted(range(len(every)), key=places.__getitem__)[:size]]
        order = placed([objectives(trial, history.merit) for trial in living])
        for k in range(start + size, start + 2 * size):
            source = stream_of(3)(k)
            for _ in range(50):
                draws = [[source.randrange(size) for _ in range(2)] for _ in range(2)]
                left, right = (living[min(pair, key=order.__getitem__)] for pair in draws)
                parents = [space.candidate(trial.number) for trial in (left, right)]
                child = space.redrawn(space.crossed(parents[0], parents[1], source), rate, source).number
                if child not in known:
                    break
            trial = history.trials[k]
            assert (trial.number, trial.parents) == (child, (left.id, right.id))
            known.add(child)
